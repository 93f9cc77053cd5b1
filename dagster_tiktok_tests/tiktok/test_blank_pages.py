"""Absence is no value: a blank item is not a post without views, nor a video without a film."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_tiktok.models import Post
from dagster_tiktok.tiktok.failures import FailureKind, PostUnreadableError
from dagster_tiktok.tiktok.pages.post_page import parse_post_page
from dagster_tiktok.tiktok.pages.profile_page import parse_profile_page
from dagster_tiktok_tests.support.sample_pages import (
    NOW,
    POST_ID,
    carousel,
    item,
    page,
    post_page,
    post_scope,
)

ZEROS = {"playCount": 0, "diggCount": 0, "commentCount": 0, "shareCount": 0, "collectCount": "0"}
ZEROS_V2 = dict.fromkeys((*ZEROS, "repostCount"), "0")
REAL = {"playCount": 812, "diggCount": 31, "commentCount": 4, "shareCount": 2, "collectCount": "5"}
CAROUSEL_VIDEO = {
    "id": POST_ID,
    "cover": "",
    "playAddr": "",
    "height": 0,
    "width": 0,
    "duration": 0,
}
ABSENT: Any = object()


def without(struct: dict[str, Any], **fields: Any) -> dict[str, Any]:
    struct = {**struct, **fields}
    return {name: value for name, value in struct.items() if value is not ABSENT}


def parse(html: bytes | str) -> Post:
    return parse_post_page(html, expected_id=POST_ID, scraped_at=NOW)


@pytest.mark.parametrize(
    "create_time", ["0", 0, "", None, ABSENT, "soon", -1, "-62135596800", 1, "999"]
)
@pytest.mark.parametrize("stats_v2", [ZEROS_V2, {}, ABSENT])
def test_zero_counts_without_a_time_are_a_login_wall(create_time: Any, stats_v2: Any) -> None:
    struct = without(item(), createTime=create_time, stats=ZEROS, statsV2=stats_v2)
    with pytest.raises(PostUnreadableError) as caught:
        parse(post_page(struct))
    assert caught.value.kind is FailureKind.LOGIN_WALL


def test_zero_counts_with_a_time_are_real() -> None:
    post = parse(post_page(without(item(), stats=ZEROS, statsV2=ZEROS_V2)))
    assert post.metrics.views == 0


def test_blank_stats_v2_fall_back_to_stats() -> None:
    post = parse(post_page(without(item(), stats=REAL, statsV2=ZEROS_V2)))
    assert tuple(dict(post.metrics).values()) == (812, 31, 4, 2, 5)


def test_some_zeros_in_stats_v2_are_real() -> None:
    stats_v2 = {**ZEROS_V2, "playCount": "812"}
    post = parse(post_page(without(item(), stats=REAL, statsV2=stats_v2)))
    assert (post.metrics.views, post.metrics.likes) == (812, 0)


def test_blank_account_stats_v2_fall_back_to_stats() -> None:
    html = page(
        {
            "webapp.user-detail": {
                "statusCode": 0,
                "userInfo": {
                    "user": {"uniqueId": "nasa"},
                    "stats": {"followerCount": 77},
                    "statsV2": {"followerCount": "0"},
                },
            }
        }
    )
    assert parse_profile_page(html).followers == 77


@pytest.mark.parametrize("image_post", [ABSENT, {}, None])
@pytest.mark.parametrize("video", [CAROUSEL_VIDEO, {}, None])
def test_page_without_slides_or_film_is_incomplete(image_post: Any, video: Any) -> None:
    with pytest.raises(PostUnreadableError) as caught:
        parse(post_page(without(carousel("a" * 32), imagePost=image_post, video=video)))
    assert caught.value.kind is FailureKind.INCOMPLETE


@pytest.mark.parametrize("video", [CAROUSEL_VIDEO, {}, ABSENT, {"playAddr": "https://a"}])
def test_canonical_photo_url_without_slides_is_incomplete(
    video: Any,
) -> None:
    scope = post_scope(without(item(), video=video))
    scope["seo.abtest"] = {"canonical": f"https://www.tiktok.com/@nasa/photo/{POST_ID}"}
    with pytest.raises(PostUnreadableError) as caught:
        parse(page(scope))
    assert caught.value.kind is FailureKind.INCOMPLETE


@pytest.mark.parametrize(
    ("title", "caption", "description"),
    [
        ("Five books", "that I reread #books", "Five books\nthat I reread #books"),
        ("Five books", "", "Five books"),
        ("", "that I reread", "that I reread"),
        ("  Five\n books ", "Save it", "Five books\nSave it"),
        ("Five books", "FIVE  books that I reread", "FIVE  books that I reread"),
        ("Five books", "Five books", "Five books"),
        ("Five\u202e\0 books", "Save it", "Five books\nSave it"),
        (7, "Save it", "Save it"),
        (None, "Save it", "Save it"),
    ],
)
def test_carousel_title_comes_before_the_caption_once(
    title: Any, caption: str, description: str
) -> None:
    struct = carousel("a" * 32, desc=caption)
    struct["imagePost"] = {**struct["imagePost"], "title": title}
    assert parse(post_page(struct)).description == description


@pytest.mark.parametrize("image_post", [ABSENT, {}, None, "", []])
@pytest.mark.parametrize("video", [ABSENT, {}, None, "", CAROUSEL_VIDEO])
def test_photo_url_without_slides_or_film_is_incomplete(image_post: Any, video: Any) -> None:
    html = post_page(without(carousel("a" * 32), imagePost=image_post, video=video))
    with pytest.raises(PostUnreadableError) as caught:
        parse_post_page(html, expected_id=POST_ID, scraped_at=NOW, is_photo=True)
    assert caught.value.kind is FailureKind.INCOMPLETE


def test_page_with_slides_or_film_wins_over_the_url() -> None:
    for struct in (carousel("a" * 32), item()):
        post = parse_post_page(
            post_page(struct), expected_id=POST_ID, scraped_at=NOW, is_photo=True
        )
        assert len(post.slides) == ("imagePost" in struct)


def test_item_with_neither_field_is_a_video_unless_its_url_says_photo() -> None:
    """TikTok leaves `video` out now and then; its counts are worth having."""
    assert parse(post_page(without(item(), video=ABSENT))).slides == ()


ZERO_ACCOUNT = {"followerCount": 0, "followingCount": 0, "heartCount": 0, "videoCount": 0}


@pytest.mark.parametrize(
    ("stats", "stats_v2", "followers"),
    [
        (ZERO_ACCOUNT, ABSENT, None),
        (ZERO_ACCOUNT, dict.fromkeys(ZERO_ACCOUNT, "0"), None),
        (ABSENT, dict.fromkeys(ZERO_ACCOUNT, "0"), None),
        ({"followerCount": 0}, ABSENT, 0),
        ({**ZERO_ACCOUNT, "videoCount": 1}, ABSENT, 0),
        ({**ZERO_ACCOUNT, "videoCount": 1}, {"followerCount": "0", "videoCount": "1"}, 0),
        ({**ZERO_ACCOUNT, "followerCount": 7}, dict.fromkeys(ZERO_ACCOUNT, "0"), 7),
    ],
)
def test_followers_are_unknown_when_all_account_counts_are_zero(
    stats: Any, stats_v2: Any, followers: int | None
) -> None:
    """It has the post that is looked at, so a video count of zero is a blank."""
    struct = without(item(), authorStats=stats, authorStatsV2=stats_v2)
    assert parse(post_page(struct)).followers == followers
