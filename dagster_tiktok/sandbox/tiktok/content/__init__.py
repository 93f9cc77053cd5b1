"""What the fake TikTok shows: posts, accounts, pages, images, all from one seed.

Not here: sockets, headers and faults of the transport (`http`).
"""
