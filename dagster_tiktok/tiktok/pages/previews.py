"""oEmbed and the embed page, which TikTok makes for other sites: used if a page can't be read.

They have the post's caption and account. We take no metrics from them: the embed page has some, but
of unknown age and without bookmarks, so beside another day's numbers from the page they would look
like growth. The daily scrapes bring the metrics once the page can be read again.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

from dagster_tiktok.models import Post
from dagster_tiktok.tiktok.failures import FailureKind, unavailable, unreadable
from dagster_tiktok.tiktok.links.post_links import canonical_url
from dagster_tiktok.tiktok.pages import captions
from dagster_tiktok.tiktok.pages.scope import classify_without_data, script_data
from dagster_tiktok.tiktok.pages.shapes import EmbedShape, EmbedVideoShape, OEmbedShape, clean
from dagster_tiktok.tiktok.pages.status_codes import is_inconclusive

_EMBED_SCRIPT_ID = "__FRONTITY_CONNECT_STATE__"
_PROFILE_URL = re.compile(r"https://www\.tiktok\.com/@([A-Za-z0-9_.-]{1,64})/?\Z")


def parse_oembed(
    status: int, body: bytes, *, expected_id: str, scraped_at: datetime, is_photo: bool = False
) -> Post:
    """The post as oEmbed describes it.

    Arguments:
        status: of the HTTP response; 400 with a JSON object means that the post is not public.
        is_photo: whether the post's URL says that it has slides.

    Raises:
        PostUnavailableError: TikTok says that the post is not public.
        PostUnreadableError: the response does not say.
    """
    # The body before the status: stubs and challenge pages come with any status.
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise classify_without_data(body) from None
    if status in (400, 404) and isinstance(data, dict):
        message = data.get("message")
        if not isinstance(message, str) or is_inconclusive(message):
            raise unreadable(
                FailureKind.UNKNOWN_STATUS, f"oEmbed: HTTP {status}: {message!r}"[:200]
            )
        raise unavailable(FailureKind.GONE, f"oEmbed: HTTP {status}")
    shape = OEmbedShape.model_validate(data if isinstance(data, dict) else {})
    profile = _PROFILE_URL.match(shape.author_url)
    account = shape.author_unique_id or (profile[1] if profile else None)
    if status != 200 or not (account or shape.title):
        raise unreadable(FailureKind.INCOMPLETE, f"oEmbed: HTTP {status} without a post")
    return _post(
        expected_id,
        shown_id=shape.embed_product_id or expected_id,
        scraped_at=scraped_at,
        scraping_method="oembed",
        account=account,
        account_verified=None,
        caption=shape.title,
        is_carousel=is_photo or shape.embed_type == "photo",
    )


def parse_embed(
    html: bytes, *, expected_id: str, scraped_at: datetime, is_photo: bool = False
) -> Post:
    """The post as on the page that other sites embed in a frame.

    Arguments:
        is_photo: whether the post's URL says that it has slides.

    Raises:
        PostUnreadableError: the page does not say.
    """
    video = _embedded(script_data(html, _EMBED_SCRIPT_ID), f"/embed/v2/{expected_id}")
    if video is None or video.item_infos is None or video.item_infos.id is None:
        raise unreadable(FailureKind.INCOMPLETE, "the embed page has no post")
    author = video.author_infos
    return _post(
        expected_id,
        shown_id=video.item_infos.id,
        scraped_at=scraped_at,
        scraping_method="embed",
        account=(author.unique_id or None) if author else None,
        account_verified=author.verified if author else None,
        caption=video.item_infos.text,
        is_carousel=is_photo
        or bool(video.image_post_info and video.image_post_info.display_images),
    )


def _embedded(state: Any, path: str) -> EmbedVideoShape | None:
    for name in ("source", "data", path):
        state = state.get(name) if isinstance(state, dict) else None
    return EmbedShape.model_validate(state if isinstance(state, dict) else {}).video_data


def _post(
    tiktok_id: str,
    *,
    shown_id: str,
    scraped_at: datetime,
    scraping_method: str,
    account: str | None,
    account_verified: bool | None,
    caption: str,
    is_carousel: bool,
) -> Post:
    if shown_id != tiktok_id:
        raise unreadable(FailureKind.WRONG_ID, f"requested {tiktok_id}, got {shown_id}")
    description = clean(caption)
    return Post(
        tiktok_id=tiktok_id,
        post_url=canonical_url(tiktok_id, account, is_carousel),
        account=account,
        account_verified=account_verified,
        # The id's upper half is the upload time.
        posted_at=datetime.fromtimestamp(int(tiktok_id) >> 32, timezone.utc),
        description=description,
        hashtags=captions.hashtags(description, (), ()),
        mentions=captions.mentions(description, ()),
        scraped_at=scraped_at,
        scraping_method=scraping_method,
        data_quality="partial",
    )
