"""From a page of TikTok to a record."""
