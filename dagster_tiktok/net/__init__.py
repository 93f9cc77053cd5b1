"""Which host a URL may name, the rate limit, the retry policy, bounded bodies.

Here: what is the same for every service. Not here: anything that knows one service.
"""
