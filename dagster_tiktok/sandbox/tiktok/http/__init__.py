"""How the fake TikTok serves it: routes, responses, faults, the request log."""
