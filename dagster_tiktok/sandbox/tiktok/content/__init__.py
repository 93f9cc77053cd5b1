"""What the fake TikTok shows: posts, accounts, pages, images."""
