"""A stand-in for TikTok: its pages, links, accounts and pictures."""
