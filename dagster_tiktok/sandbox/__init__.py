"""Local fakes of TikTok, Google Sheets and Supabase that speak the real protocols.

What `make demo`, `make dev` and the tests run on. Here: servers, their data, the demo. Not here:
anything that production code imports; it has no local mode, only other URLs.
"""
