"""How the fake TikTok serves its content: routes, responses, faults, the request log.

Not here: what a post or a page says (`content`).
"""
