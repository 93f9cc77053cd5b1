"""The addresses of one slide: what names the picture, and which mirrors can still be asked."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlsplit

from dagster_tiktok.models import SlideSource
from dagster_tiktok.slides.failures import SlideUrlExpiredError

_MAX_MIRRORS = 8
_X_EXPIRES = re.compile(r"[?&]x-expires=(\d{1,12})(?:&|$)")


def cache_key(tiktok_id: str, source: SlideSource) -> str:
    """What names the picture: its post, and the key of its address, else its place in the post."""
    # With the post in it: a page may name any key, also that of another post's picture.
    return f"{tiktok_id}/{source.image_key or source.number}"


def live_mirrors(
    source: SlideSource, *, now: datetime, page_read_at: datetime | None = None
) -> list[str]:
    """The mirrors whose URLs have not expired yet, in order.

    TikTok sets the expiry by its own clock, 39 hours or more after it sent the page. A URL that
    was past it when the page was read shows that the two clocks disagree: then only TikTok knows,
    and is asked. A wrong clock so costs a request, never a slide.

    Arguments:
        now, page_read_at: aware, by one clock; None where it is not known when the page was read.

    Raises:
        SlideUrlExpiredError: there is none, so the page has to be asked.
    """
    default = source.expires_at.timestamp() if source.expires_at else None
    mirrors = source.mirrors
    if not mirrors:
        raise SlideUrlExpiredError("the page gave no address for it")
    read_at = page_read_at.timestamp() if page_read_at else float("-inf")

    def is_live(expiry: float | None) -> bool:
        return expiry is None or not read_at < expiry <= now.timestamp()

    live = [mirror for mirror in mirrors if is_live(_expiry(mirror) or default)]
    if not live:
        raise SlideUrlExpiredError(f"x-expires of {host_of(mirrors[0])} has passed")
    return live[:_MAX_MIRRORS]


def _expiry(address: str) -> float | None:
    match = _X_EXPIRES.search(address)
    return float(match[1]) if match else None


def host_of(address: str) -> str:
    """For figures and sentences; "?" of an address that can't be read."""
    try:
        return urlsplit(address).netloc.rpartition("@")[2]
    except ValueError:
        return "?"
