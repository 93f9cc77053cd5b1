"""The slides of a carousel's page: their URLs on each mirror, and when these expire."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from dagster_tiktok.models import SlideSource
from dagster_tiktok.tiktok.pages.counts import FIRST_SECOND, LAST_SECOND
from dagster_tiktok.tiktok.pages.scope import canonical_link, make_incomplete_error
from dagster_tiktok.tiktok.pages.shapes import ImageShape, ItemShape

MAX_SLIDES = 35
"""TikTok accepts no more, and the tables hold no more."""

_IMAGE_KEY = re.compile(r"/([0-9a-f]{32})~")
_EXPIRES = re.compile(r"[?&]x-expires=([0-9]{10})(?![0-9])")


def parse_slides(
    item: ItemShape, scope: dict[str, Any], *, is_photo: bool
) -> tuple[SlideSource, ...]:
    """The slides in order, none for a video.

    Raises:
        PostUnreadableError: the post should have slides, and the page has none.
    """
    # `imagePost` tells a carousel, not an empty `video`; its `cover` is not the first slide.
    if item.image_post is None:
        lacks_slides = item.lacks_media or (is_photo and not item.has_film)
        if lacks_slides or "/photo/" in canonical_link(scope):
            # TikTok sometimes leaves out `imagePost`: we would store such a carousel as a finished
            # video. If the page has a film, it is a video, whatever the URL says.
            raise make_incomplete_error(scope, "the item has neither slides nor a video")
        return ()
    images = item.image_post.images[:MAX_SLIDES]
    if not images:
        raise make_incomplete_error(scope, "the carousel has no slides")
    return tuple(_parse_slide(number, image) for number, image in enumerate(images, start=1))


def has_all_slides(item: ItemShape, slides: tuple[SlideSource, ...]) -> bool:
    """False if the page has more slides than we read, or one without a URL."""
    on_page = len(item.image_post.images) if item.image_post else 0
    return on_page == len(slides) and all(slide.mirrors for slide in slides)


def _parse_slide(number: int, image: ImageShape) -> SlideSource:
    mirrors = tuple(dict.fromkeys(image.image_url.url_list)) if image.image_url else ()
    keys = (_IMAGE_KEY.search(mirror) for mirror in mirrors)
    expiries = [at for at in map(_parse_expiry, mirrors) if at is not None]
    return SlideSource(
        number=number,
        mirrors=mirrors,
        width=image.image_width,
        height=image.image_height,
        image_key=next((key[1] for key in keys if key), None),
        expires_at=min(expiries, default=None),
    )


def _parse_expiry(url: str) -> datetime | None:
    match = _EXPIRES.search(url)
    seconds = int(match[1]) if match else 0
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc)
