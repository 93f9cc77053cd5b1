"""A fake TikTok: `content` is what it shows, `http` is how it serves that.

Not here: code shared with `dagster_tiktok.tiktok`. A fake that uses the parser proves nothing.
"""
