"""The URLs of one slide: the cache key of its image, and which mirrors have not expired."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlsplit

from dagster_tiktok.models import SlideSource
from dagster_tiktok.slides.failures import SlideUrlExpiredError

_MAX_MIRRORS = 8
_X_EXPIRES = re.compile(r"[?&]x-expires=(\d{1,12})(?:&|$)")


def cache_key(tiktok_id: str, source: SlideSource) -> str:
    """The image's name in the cache: post and image key, or post and slide number."""
    # The post is part of it, because a page can name any key, even one of another post's image.
    return f"{tiktok_id}/{source.image_key or source.number}"


def live_mirrors(
    source: SlideSource, *, now: datetime, page_read_at: datetime | None = None
) -> list[str]:
    """The mirrors whose URLs have not expired yet, in order.

    TikTok sets the expiry by its own clock, 39 hours or more after it sent the page. A URL that
    had expired before the page was read shows that the clocks disagree; only TikTok knows then, so
    the URL counts as live. A wrong clock costs a request, never a slide.

    Arguments:
        now, page_read_at: aware datetimes of one clock. `page_read_at` is None if unknown.

    Raises:
        SlideUrlExpiredError: all have expired; fetch the page again.
    """
    default = source.expires_at.timestamp() if source.expires_at else None
    mirrors = source.mirrors
    if not mirrors:
        raise SlideUrlExpiredError("the page has no URL for it")
    read_at = page_read_at.timestamp() if page_read_at else float("-inf")

    def is_live(expiry: float | None) -> bool:
        return expiry is None or not read_at < expiry <= now.timestamp()

    live = [mirror for mirror in mirrors if is_live(_expiry(mirror) or default)]
    if not live:
        raise SlideUrlExpiredError(f"x-expires of {url_host(mirrors[0])} has passed")
    return live[:_MAX_MIRRORS]


def _expiry(url: str) -> float | None:
    match = _X_EXPIRES.search(url)
    return float(match[1]) if match else None


def url_host(url: str) -> str:
    """The host for metrics and messages; "?" if the URL can't be parsed."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return "?"
