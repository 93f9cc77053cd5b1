"""The addresses of one slide: what names the picture, and which mirrors can still be asked."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from urllib.parse import urlsplit

from dagster_tiktok.models import SlideSource
from dagster_tiktok.slides.failures import AddressExpired

_MAX_MIRRORS = 8
_X_EXPIRES = re.compile(r"[?&]x-expires=(\d{1,12})(?:&|$)")


def cache_key(tiktok_id: str, source: SlideSource) -> str:
    """What names the picture: its post, and the key of its address, else its place in the post."""
    # With the post in it: a page may name any key, also that of another post's picture.
    return f"{tiktok_id}/{source.image_key or source.number}"


def live_mirrors(source: SlideSource) -> list[str]:
    """The mirrors whose addresses have not expired yet, in order.

    Raises:
        AddressExpired: there is none, so the page has to be asked.
    """
    now = datetime.now(timezone.utc).timestamp()
    default = source.expires_at.timestamp() if source.expires_at else None
    mirrors = source.mirrors
    if not mirrors:
        raise AddressExpired("the page gave no address for it")
    live = [m for m in mirrors if (expiry := _expiry(m) or default) is None or expiry > now]
    if not live:
        raise AddressExpired(f"x-expires of {host_of(mirrors[0])} has passed")
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
