"""From a TikTok page to a record: what a post's page and an account's page say.

The bytes are hostile and their shape changes without notice. What comes out is a valid record or
one of the two typed failures, never another exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NoReturn
from urllib.parse import quote

from dagster_tiktok.models import DataQuality, Metrics, Post, SlideSource
from dagster_tiktok.tiktok.failures import (
    FailureKind,
    make_post_error,
    unavailable,
    unreadable,
)
from dagster_tiktok.tiktok.links.post_links import PostUrlError, canonical_url, parse_url
from dagster_tiktok.tiktok.pages import captions
from dagster_tiktok.tiktok.pages.scope import extract_scope, scope_json
from dagster_tiktok.tiktok.pages.shapes import (
    DetailShape,
    ImageShape,
    ItemShape,
    MusicShape,
    SeoShape,
    StatsShape,
    UserDetailShape,
    UserInfoShape,
    clean,
)
from dagster_tiktok.tiktok.pages.status_codes import classify_status

__all__ = [
    "Profile",
    "extract_scope",
    "parse_post_page",
    "parse_profile_page",
    "rate_quality",
    "shows_anything",
]

MAX_SLIDES = 35
"""TikTok takes no more, and the tables hold no more."""

_DETAIL_PARTS = ("webapp.video-detail", "webapp.reflow.video.detail")
_USER_PART = "webapp.user-detail"
_IMAGE_KEY = re.compile(r"/([0-9a-f]{32})~")
_EXPIRES = re.compile(r"[?&]x-expires=([0-9]{10})(?![0-9])")
# Unix seconds of 2001 and 2106: outside of them `createTime` is a placeholder.
_FIRST_SECOND, _LAST_SECOND = 1_000_000_000, 2**32 - 1


@dataclass(frozen=True)
class Profile:
    """What an account's page says of it."""

    account: str | None
    followers: int | None
    verified: bool | None


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
        expected_id: the post that was asked for; TikTok sometimes shows another.
        scraped_at: when the page was read, aware.
        is_photo: whether the URL by which the post is known says that it shows slides (`/photo/`).
        user: the post's account as that URL names it, if it does.

    Raises:
        PostUnavailableError: TikTok says that the post can't be seen.
        PostUnreadableError: the page does not tell.
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
    """The same from a page's scope, whoever read the page."""
    item = _shown_item(scope, expected_id, user)
    metrics = _metrics(item, scope)
    slides = _slides(item, scope, is_photo=is_photo)
    account, verified = _account(item, scope, expected_id)
    followers = _followers(item.author_stats_v2, item.author_stats)
    return Post(
        tiktok_id=expected_id,
        post_url=canonical_url(expected_id, account, bool(slides)),
        account=account,
        account_verified=verified,
        followers=followers,
        posted_at=_posted_at(item, expected_id),
        description=clean(captions.with_title(item.image_post.title, item.desc))
        if item.image_post
        else clean(item.desc),
        hashtags=captions.hashtags(
            item.desc, item.text_extra, (challenge.title for challenge in item.challenges)
        ),
        mentions=captions.mentions(item.desc, item.text_extra),
        sound=(item.music.title or None) if item.music else None,
        sound_url=_sound_url(item.music),
        metrics=metrics,
        slides=slides,
        scraped_at=scraped_at,
        scraping_method=scraping_method,
        data_quality=(
            rate_quality(metrics, followers) if _has_all_slides(item, slides) else "partial"
        ),
    )


def parse_profile_page(html: bytes | str) -> Profile:
    """The account that a page shows.

    Raises:
        PostUnavailableError: the account is banned, absent or private.
        PostUnreadableError: the page does not tell.
    """
    scope = extract_scope(html)
    part = scope.get(_USER_PART)
    if not isinstance(part, dict):
        _raise_incomplete(scope, f"no {_USER_PART} in the page")
    detail = UserDetailShape.model_validate(part)
    info = detail.user_info or UserInfoShape.model_validate({})
    user, followers = info.user, _followers(info.stats_v2, info.stats)
    account = (user.unique_id or None) if user else None
    if detail.status_code:
        failure = classify_status(detail.status_code, detail.status_msg)
        # A private account answers with a code and still shows its counts; where an account is
        # banned or absent, they are zeros beside an empty name.
        if failure.kind is not FailureKind.PRIVATE or account is None or followers is None:
            raise make_post_error(failure, _status_text(detail))
    return Profile(account, followers, verified=user.verified if user else None)


def shows_anything(scope: dict[str, Any]) -> bool:
    """Whether a page is about a post or an account, also where it says that it is not there."""
    return any(isinstance(scope.get(name), dict) for name in (*_DETAIL_PARTS, _USER_PART))


def rate_quality(metrics: Metrics, followers: int | None) -> DataQuality:
    """How much of what a row needs was there."""
    counts = (
        metrics.views,
        metrics.likes,
        metrics.comments,
        metrics.shares,
        metrics.bookmarks,
    )
    if any(count is None for count in counts):
        return "partial"
    return "complete" if followers is not None else "no_account"


def _shown_item(scope: dict[str, Any], expected_id: str, user: str | None) -> ItemShape:
    """The item, after every way in which the page may not show it."""
    detail = _detail(scope, expected_id, user)
    if detail.status_code:
        failure = classify_status(detail.status_code, detail.status_msg)
        raise make_post_error(failure, _status_text(detail))
    item = detail.item
    if item is None:
        failure = classify_status(0, detail.status_msg)
        if failure.kind is not FailureKind.UNKNOWN_STATUS:
            raise make_post_error(failure, _status_text(detail))
        _raise_incomplete(scope, "no item in the page")
    if item.id is None:
        _raise_incomplete(scope, "the item has no id")
    if item.id != expected_id:
        raise unreadable(FailureKind.WRONG_ID, f"asked for {expected_id}, got {item.id}")
    if item.secret or item.private_item:
        raise unavailable(FailureKind.PRIVATE, "the item is marked as private")
    if item.is_content_classified and item.video is None and item.image_post is None:
        raise unavailable(FailureKind.AGE_WALL, "the item is classified and has no video")
    return item


def _detail(scope: dict[str, Any], expected_id: str, user: str | None) -> DetailShape:
    parts = [scope[name] for name in _DETAIL_PARTS if isinstance(scope.get(name), dict)]
    details = [DetailShape.model_validate(part) for part in parts]
    if not details:
        _raise_without_detail(scope, expected_id, user)
    return max(details, key=lambda detail: (detail.item is not None, bool(detail.status_code)))


def _raise_without_detail(scope: dict[str, Any], expected_id: str, user: str | None) -> NoReturn:
    # In place of a post TikTok may show its account, which says why there is no post. It may also
    # show another one, whose reasons end nothing.
    part = scope.get(_USER_PART)
    account = UserDetailShape.model_validate(part if isinstance(part, dict) else {})
    if account.status_code:
        failure = classify_status(account.status_code, account.status_msg)
        info = account.user_info
        shown = (info.user.unique_id if info and info.user else "") or ""
        if _is_owner(shown, _canonical_user(scope, expected_id) or user) or not failure.permanent:
            raise make_post_error(failure, _status_text(account))
        _raise_incomplete(scope, f"an account in place of the post, {_status_text(account)}")
    _raise_incomplete(scope, f"no {_DETAIL_PARTS[0]} in the page")


def _is_owner(shown: str, owner: str | None) -> bool:
    # `_` stands for an account that is not known.
    return owner is not None and owner != "_" and shown.lower() == owner.lower()


def _status_text(detail: DetailShape | UserDetailShape) -> str:
    return f"statusCode {detail.status_code}, statusMsg {detail.status_msg!r}"


def _metrics(item: ItemShape, scope: dict[str, Any]) -> Metrics:
    sources = _preferred(item.stats_v2, item.stats)
    if not any(sources):
        raise unreadable(FailureKind.LOGIN_WALL, "the item has no stats")
    metrics = Metrics(
        views=_first_count("play_count", *sources),
        likes=_first_count("digg_count", *sources),
        comments=_first_count("comment_count", *sources),
        shares=_first_count("share_count", *sources),
        bookmarks=_first_count("collect_count", *sources),
    )
    counts = [count for _, count in metrics if count is not None]
    if not counts:
        _raise_incomplete(scope, "no count of the item can be read")
    if _plausible_time(item) is None and not any(counts):
        # Behind the login wall both are blanked (the time is "0", empty, left out or some other
        # placeholder); zeros would be recorded as the truth.
        raise unreadable(FailureKind.LOGIN_WALL, "the item's time and counts are blank")
    return metrics


def _preferred(v2: StatsShape | None, stats: StatsShape | None) -> tuple[StatsShape | None, ...]:
    """`statsV2` before `stats`, unless it is blank beside counts: then it says nothing."""
    if v2 is not None and stats is not None and v2.is_blank and not stats.is_blank:
        return (stats,)
    return (v2, stats)


def _first_count(name: str, *sources: StatsShape | None) -> int | None:
    counts = (getattr(source, name) for source in sources if source is not None)
    return next((count for count in counts if count is not None), None)


def _followers(v2: StatsShape | None, stats: StatsShape | None) -> int | None:
    given = [source for source in (v2, stats) if source is not None]
    if all(source.is_blank for source in given) and any(s.video_count == 0 for s in given):
        # The account has the post that is looked at: a blank, not an account without followers.
        return None
    return _first_count("follower_count", *_preferred(v2, stats))


def _account(
    item: ItemShape, scope: dict[str, Any], tiktok_id: str
) -> tuple[str | None, bool | None]:
    """The account's name and whether it is verified; the name else from the canonical address."""
    if item.author is not None and item.author.unique_id:
        return item.author.unique_id, item.author.verified
    return _canonical_user(scope, tiktok_id), None


def _canonical_user(scope: dict[str, Any], tiktok_id: str) -> str | None:
    """The account in the page's canonical URL of the post, None where that is another page's."""
    try:
        ref = parse_url(_canonical(scope))
    except PostUrlError:
        return None
    return ref.user if ref.tiktok_id == tiktok_id else None


def _canonical(scope: dict[str, Any]) -> str:
    seo = scope.get("seo.abtest")
    return SeoShape.model_validate(seo if isinstance(seo, dict) else {}).canonical


def _plausible_time(item: ItemShape) -> int | None:
    seconds = item.create_time
    is_time = seconds is not None and _FIRST_SECOND <= seconds <= _LAST_SECOND
    return seconds if is_time else None


def _posted_at(item: ItemShape, tiktok_id: str) -> datetime:
    seconds = _plausible_time(item)
    if seconds is None:
        # The id's upper half is the upload time, 11 s before `createTime` (median).
        seconds = int(tiktok_id) >> 32
    return datetime.fromtimestamp(seconds, timezone.utc)


def _sound_url(music: MusicShape | None) -> str | None:
    if music is None or not music.id:
        return None
    slug = "-".join(re.findall(r"\w+", music.title)) or "sound"
    return f"https://www.tiktok.com/music/{quote(slug)}-{music.id}"


def _slides(item: ItemShape, scope: dict[str, Any], *, is_photo: bool) -> tuple[SlideSource, ...]:
    # `imagePost` tells a carousel, not an empty `video`; its `cover` is not the first slide.
    if item.image_post is None:
        lacks_slides = item.lacks_what_it_shows or (is_photo and not item.has_film)
        if lacks_slides or "/photo/" in _canonical(scope):
            # TikTok leaves out `imagePost` now and then: such a carousel would be recorded as a
            # finished video. A film on the page is believed, whatever was typed.
            _raise_incomplete(scope, "the item has neither slides nor a video")
        return ()
    images = item.image_post.images[:MAX_SLIDES]
    if not images:
        _raise_incomplete(scope, "the carousel has no slides")
    return tuple(_slide(number, image) for number, image in enumerate(images, start=1))


def _has_all_slides(item: ItemShape, slides: tuple[SlideSource, ...]) -> bool:
    """Not, if there are more than are read, or one has no address: the others are worth having."""
    shown = len(item.image_post.images) if item.image_post else 0
    return shown == len(slides) and all(slide.mirrors for slide in slides)


def _slide(number: int, image: ImageShape) -> SlideSource:
    mirrors = tuple(dict.fromkeys(image.image_url.url_list)) if image.image_url else ()
    keys = (_IMAGE_KEY.search(mirror) for mirror in mirrors)
    expiries = [at for at in map(_expires_at, mirrors) if at is not None]
    return SlideSource(
        number=number,
        mirrors=mirrors,
        width=image.image_width,
        height=image.image_height,
        image_key=next((key[1] for key in keys if key), None),
        expires_at=min(expiries, default=None),
    )


def _expires_at(address: str) -> datetime | None:
    match = _EXPIRES.search(address)
    seconds = int(match[1]) if match else 0
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc)


def _raise_incomplete(scope: dict[str, Any], detail: str) -> NoReturn:
    raise unreadable(FailureKind.INCOMPLETE, detail, page_json=scope_json(scope))
