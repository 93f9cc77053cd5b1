"""The page of a post: everything that we store about it.

The bytes are hostile, and their shape changes without notice. The parser returns a valid `Post`
or raises one of the two `PostError`s, and never anything else.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, NoReturn
from urllib.parse import quote

from dagster_tiktok.models import Post
from dagster_tiktok.tiktok.failures import FailureKind, make_post_error, unavailable, unreadable
from dagster_tiktok.tiktok.links.post_links import PostUrlError, canonical_url, parse_url
from dagster_tiktok.tiktok.pages import captions
from dagster_tiktok.tiktok.pages.counts import (
    parse_followers,
    parse_metrics,
    parse_time,
    rate_quality,
)
from dagster_tiktok.tiktok.pages.scope import (
    DETAIL_PARTS,
    USER_PART,
    canonical_link,
    extract_scope,
    make_incomplete_error,
)
from dagster_tiktok.tiktok.pages.shapes import (
    DetailShape,
    ItemShape,
    MusicShape,
    UserDetailShape,
    clean,
)
from dagster_tiktok.tiktok.pages.slides import has_all_slides, parse_slides
from dagster_tiktok.tiktok.pages.status_codes import classify_status, describe_status


def parse_post_page(
    html: bytes | str,
    *,
    expected_id: str,
    scraped_at: datetime,
    is_photo: bool = False,
    user: str | None = None,
) -> Post:
    """The post that a page shows.

    Arguments:
        expected_id: the post that we requested; TikTok sometimes shows another.
        scraped_at: when the page was read, aware.
        is_photo: whether the post's URL says that it has slides (`/photo/`).
        user: the post's account according to that URL, if it names one.

    Raises:
        PostUnavailableError: TikTok says that the post can't be seen.
        PostUnreadableError: the page does not say.
    """
    return parse_scope(
        extract_scope(html),
        expected_id=expected_id,
        scraped_at=scraped_at,
        is_photo=is_photo,
        user=user,
    )


def parse_scope(
    scope: dict[str, Any],
    *,
    expected_id: str,
    scraped_at: datetime,
    is_photo: bool = False,
    user: str | None = None,
    scraping_method: str = "page",
) -> Post:
    """The same from the scope of a page, whichever program read the page."""
    item = _find_item(scope, expected_id, user)
    metrics = parse_metrics(item, scope)
    slides = parse_slides(item, scope, is_photo=is_photo)
    account, verified = _parse_account(item, scope, expected_id)
    followers = parse_followers(item.author_stats_v2, item.author_stats)
    return Post(
        tiktok_id=expected_id,
        post_url=canonical_url(expected_id, account, bool(slides)),
        account=account,
        account_verified=verified,
        followers=followers,
        posted_at=_parse_posted_at(item, expected_id),
        description=clean(captions.with_title(item.image_post.title, item.desc))
        if item.image_post
        else clean(item.desc),
        hashtags=captions.hashtags(
            item.desc, item.text_extra, (challenge.title for challenge in item.challenges)
        ),
        mentions=captions.mentions(item.desc, item.text_extra),
        sound=(item.music.title or None) if item.music else None,
        sound_url=_make_sound_url(item.music),
        metrics=metrics,
        slides=slides,
        scraped_at=scraped_at,
        scraping_method=scraping_method,
        data_quality=(
            rate_quality(metrics, followers) if has_all_slides(item, slides) else "partial"
        ),
    )


def _find_item(scope: dict[str, Any], expected_id: str, user: str | None) -> ItemShape:
    """The item, once every reason for which the page may not show it is ruled out."""
    detail = _find_detail(scope, expected_id, user)
    if detail.status_code:
        failure = classify_status(detail.status_code, detail.status_msg)
        raise make_post_error(failure, describe_status(detail))
    item = detail.item
    if item is None:
        failure = classify_status(0, detail.status_msg)
        if failure.kind is not FailureKind.UNKNOWN_STATUS:
            raise make_post_error(failure, describe_status(detail))
        raise make_incomplete_error(scope, "no item in the page")
    if item.id is None:
        raise make_incomplete_error(scope, "the item has no id")
    if item.id != expected_id:
        raise unreadable(FailureKind.WRONG_ID, f"requested {expected_id}, got {item.id}")
    if item.secret or item.private_item:
        raise unavailable(FailureKind.PRIVATE, "the item is marked as private")
    if item.is_content_classified and item.video is None and item.image_post is None:
        raise unavailable(FailureKind.AGE_WALL, "the item is classified and has no video")
    return item


def _find_detail(scope: dict[str, Any], expected_id: str, user: str | None) -> DetailShape:
    parts = [scope[name] for name in DETAIL_PARTS if isinstance(scope.get(name), dict)]
    details = [DetailShape.model_validate(part) for part in parts]
    if not details:
        _raise_without_detail(scope, expected_id, user)
    return max(details, key=lambda detail: (detail.item is not None, bool(detail.status_code)))


def _raise_without_detail(scope: dict[str, Any], expected_id: str, user: str | None) -> NoReturn:
    # TikTok may show the account in place of the post, and its status says why. It may also show
    # another account, whose status says nothing about this post.
    part = scope.get(USER_PART)
    account = UserDetailShape.model_validate(part if isinstance(part, dict) else {})
    if account.status_code:
        failure = classify_status(account.status_code, account.status_msg)
        info = account.user_info
        name = (info.user.unique_id if info and info.user else "") or ""
        if _is_same_user(name, _parse_canonical_user(scope, expected_id) or user):
            raise make_post_error(failure, describe_status(account))
        if not failure.permanent:
            raise make_post_error(failure, describe_status(account))
        raise make_incomplete_error(
            scope, f"an account in place of the post, {describe_status(account)}"
        )
    raise make_incomplete_error(scope, f"no {DETAIL_PARTS[0]} in the page")


def _is_same_user(name: str, user: str | None) -> bool:
    # `_` stands for an unknown account.
    return user is not None and user != "_" and name.lower() == user.lower()


def _parse_account(
    item: ItemShape, scope: dict[str, Any], tiktok_id: str
) -> tuple[str | None, bool | None]:
    """The account's name (from the canonical URL if the item has none), and if it is verified."""
    if item.author is not None and item.author.unique_id:
        return item.author.unique_id, item.author.verified
    return _parse_canonical_user(scope, tiktok_id), None


def _parse_canonical_user(scope: dict[str, Any], tiktok_id: str) -> str | None:
    """The account in the page's canonical URL, None if that is the URL of another page."""
    try:
        ref = parse_url(canonical_link(scope))
    except PostUrlError:
        return None
    return ref.user if ref.tiktok_id == tiktok_id else None


def _parse_posted_at(item: ItemShape, tiktok_id: str) -> datetime:
    seconds = parse_time(item)
    if seconds is None:
        # The id's upper half is the upload time, 11 s before `createTime` (median).
        seconds = int(tiktok_id) >> 32
    return datetime.fromtimestamp(seconds, timezone.utc)


def _make_sound_url(music: MusicShape | None) -> str | None:
    if music is None or not music.id:
        return None
    slug = "-".join(re.findall(r"\w+", music.title)) or "sound"
    return f"https://www.tiktok.com/music/{quote(slug)}-{music.id}"
