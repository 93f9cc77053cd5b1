"""Which host a URL may name, the rate limit and the retry policy. Knows no service."""
