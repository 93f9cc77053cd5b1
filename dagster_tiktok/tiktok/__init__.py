"""TikTok's site: links, pages, failure kinds, and the client that requests them politely.

What knows of assets, of the ledger or of the sheet belongs elsewhere; slides are in `slides`.
"""
