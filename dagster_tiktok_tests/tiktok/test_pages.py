from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from dagster_tiktok.models import Metrics
from dagster_tiktok.tiktok.failures import (
    FailureKind,
    PostError,
    PostUnavailableError,
    PostUnreadableError,
)
from dagster_tiktok.tiktok.pages.profile_page import parse_profile_page
from dagster_tiktok.tiktok.pages.scope import extract_scope
from dagster_tiktok_tests.support.sample_pages import (
    CAPTCHA_PAGE,
    CHALLENGE_PAGE,
    MOBILE_SCOPE_NAME,
    NOW,
    POST_ID,
    STUB_PAGE,
    A,
    B,
    carousel,
    image,
    item,
    page,
    parse,
    post_page,
    post_scope,
    profile_scope,
)


def failure_of(html: bytes) -> PostError:
    with pytest.raises(PostError) as caught:
        parse(html)
    assert isinstance(caught.value, PostUnavailableError) == caught.value.failure.permanent
    return caught.value


def test_video_page() -> None:
    post = parse(post_page(filler_bytes=300_000))

    assert post.tiktok_id == POST_ID
    assert post.post_url == f"https://www.tiktok.com/@nasa/video/{POST_ID}"
    assert (post.account, post.account_verified, post.followers) == ("nasa", True, None)
    assert post.posted_at == datetime(2026, 9, 4, 16, 51, 37, tzinfo=timezone.utc)
    assert post.description == "Roman\u2019s first images \U0001f92f"
    assert post.sound == "original sound"
    assert post.sound_url == "https://www.tiktok.com/music/original-sound-7420633921946782469"
    assert post.metrics == Metrics(
        views=254088, likes=13217, comments=264, shares=385, bookmarks=940
    )
    assert (post.slides, post.scraped_at) == ((), NOW)
    assert (post.scraping_method, post.data_quality) == ("page", "no_account")


def test_carousel_page_has_slides_in_order_without_the_cover() -> None:
    post = parse(post_page(carousel(A, B)))

    assert post.post_url == f"https://www.tiktok.com/@nasa/photo/{POST_ID}"
    assert [slide.number for slide in post.slides] == [1, 2]
    assert [slide.image_key for slide in post.slides] == [A, B]
    first = post.slides[0]
    assert (first.width, first.height) == (1080, 1436)
    assert first.expires_at == datetime(2026, 9, 24, 15, tzinfo=timezone.utc)
    assert [mirror[:12] for mirror in first.mirrors] == ["https://p16-", "https://p19-"]
    assert all("x-signature=s" in mirror for mirror in first.mirrors)


def test_mirrors_that_are_no_urls_are_left_out() -> None:
    odd = image(A)
    odd["imageURL"]["urlList"][0:0] = ["", None, "//p1/x", "javascript:x", "https://a/\u00e4", 5]
    odd["imageURL"]["urlList"].append("https://cdn.example/x~?x-expires=soon")
    struct = carousel(A)
    struct["imagePost"]["images"] = [odd]

    (slide,) = parse(post_page(struct)).slides

    assert len(slide.mirrors) == 3
    assert slide.image_key == A


def test_mobile_scope_and_pretty_printed_json() -> None:
    desktop = parse(post_page(carousel(A, B)))
    mobile = page(post_scope(carousel(A, B), name=MOBILE_SCOPE_NAME), indent=2)
    assert parse(mobile) == desktop
    assert parse(mobile.decode()) == desktop


def test_rounded_counts_when_there_are_no_exact_ones() -> None:
    metrics = parse(post_page(item(statsV2=None))).metrics
    assert (metrics.views, metrics.likes, metrics.bookmarks) == (254100, 13200, 940)


@pytest.mark.parametrize(
    "garbage", [-1625611536, "-5", "1.4M", 1.5, True, None, [], {}, "", "9" * 30, 2**53, "\u0665"]
)
def test_invalid_count_is_missing_not_zero(
    garbage: Any,
) -> None:
    struct = item(statsV2=None)
    struct["stats"]["playCount"] = garbage
    post = parse(post_page(struct))
    assert post.metrics.views is None
    assert post.metrics.likes == 13200
    assert post.data_quality == "partial"


@pytest.mark.parametrize("name", ["authorStats", "authorStatsV2"])
def test_account_counts_make_the_post_complete(name: str) -> None:
    post = parse(post_page(item(**{name: {"followerCount": 0 if name == "authorStats" else "0"}})))
    assert (post.followers, post.data_quality) == (0, "complete")


@pytest.mark.parametrize("created", ["0", 0, "", None, "soon", -1, [], 2**70])
def test_time_comes_from_the_id_when_it_is_missing(created: Any) -> None:
    post = parse(post_page(item(createTime=created)))
    assert post.posted_at == datetime.fromtimestamp(int(POST_ID) >> 32, timezone.utc)


def test_time_as_a_number() -> None:
    assert parse(post_page(item(createTime=1788540697))).posted_at.timestamp() == 1788540697


def test_missing_parts_leave_the_rest() -> None:
    struct = item(author=None, music=None, challenges=None, textExtra=None, video=None, desc=None)
    post = parse(post_page(struct))
    assert post.post_url == f"https://www.tiktok.com/@_/video/{POST_ID}"
    assert (post.account, post.sound, post.sound_url, post.description) == (None, None, None, "")


def test_account_comes_from_the_canonical_url_when_there_is_no_author() -> None:
    scope = post_scope(item(author=None))
    scope["seo.abtest"] = {"canonical": f"https://www.tiktok.com/@nasa/video/{POST_ID}"}
    assert parse(page(scope)).account == "nasa"
    scope["seo.abtest"] = {"canonical": "https://www.tiktok.com/@nasa/video/7665075736742530317"}
    assert parse(page(scope)).account is None


def test_nul_and_lone_surrogates_are_removed() -> None:
    bad = "a\0\ud800b\udfff"
    struct = item(
        desc=bad + " #ta\0g",
        author={"uniqueId": bad, "verified": "yes"},
        music={"id": "7420633921946782469", "title": bad},
        challenges=[{"title": bad}],
        textExtra=[{"type": 0, "userUniqueId": bad}, {"type": 1, "hashtagName": bad}],
    )
    post = parse(post_page(struct))
    text = post.model_dump_json()
    assert "\\u0000" not in text
    assert "\\ud" not in text
    assert (post.description, post.account, post.sound) == ("ab #tag", None, "ab")
    assert (post.mentions, post.account_verified) == ((), None)


def test_texts_and_lists_are_truncated() -> None:
    struct = carousel(*([A] * 1000), desc="x" * 100_000, challenges=[{"title": "y" * 9999}] * 999)
    post = parse(post_page(struct))
    assert (len(post.description), len(post.slides), post.hashtags) == (10_000, 35, ())


@pytest.mark.parametrize(
    ("struct", "kind"),
    [
        (item(id="7665075736742530317"), FailureKind.WRONG_ID),
        (item(id=None), FailureKind.INCOMPLETE),
        (item(secret=True), FailureKind.PRIVATE),
        (item(privateItem=True), FailureKind.PRIVATE),
        (item(isContentClassified=True, video=None), FailureKind.AGE_WALL),
        (item(isContentClassified=True, video={}), FailureKind.AGE_WALL),
        (item(stats=None, statsV2=None), FailureKind.LOGIN_WALL),
        (item(stats={}, statsV2={}, createTime="0"), FailureKind.LOGIN_WALL),
        (item(stats={"playCount": 0}, statsV2={}, createTime="0"), FailureKind.LOGIN_WALL),
        (item(stats={"playCount": -1}, statsV2=None), FailureKind.INCOMPLETE),
        (item(imagePost={"images": []}), FailureKind.INCOMPLETE),
    ],
)
def test_failure_kind_when_the_item_is_not_shown(struct: dict[str, Any], kind: FailureKind) -> None:
    failure = failure_of(post_page(struct))
    assert failure.kind is kind
    if kind is FailureKind.INCOMPLETE:
        assert isinstance(failure, PostUnreadableError)
        assert "__DEFAULT_SCOPE__" in json.loads(failure.page_json or "")


@pytest.mark.parametrize(
    ("struct", "changes"),
    [
        (item(isContentClassified=True), {}),
        (carousel(A, isContentClassified=True), {}),
        (item(secret=False, privateItem="true"), {}),
        (item(imagePost={}), {}),
        (item(imagePost=None), {"code": "0", "message": "ok"}),
        (item(id=int(POST_ID)), {"code": None}),
    ],
)
def test_flags_that_do_not_hide_the_item(struct: dict[str, Any], changes: dict[str, Any]) -> None:
    assert parse(post_page(struct, **changes)).metrics.views == 254088


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (10204, "item_privacy_authorization&status_deleted", FailureKind.GONE),
        ("10204", "item doesn't exist", FailureKind.GONE),
        (0, "status_self_see", FailureKind.PRIVATE),
        (10221, "", FailureKind.BANNED_ACCOUNT),
        (10000, "", FailureKind.SHIELD),
        (0, "", FailureKind.INCOMPLETE),
        (0, "ok", FailureKind.INCOMPLETE),
        (-7, "", FailureKind.UNKNOWN_STATUS),
    ],
)
def test_status_decides_when_there_is_no_item(code: Any, message: str, kind: FailureKind) -> None:
    for name in ("webapp.video-detail", MOBILE_SCOPE_NAME):
        failure = failure_of(page(post_scope(None, code=code, message=message, name=name)))
        assert failure.kind is kind
    empty = {"webapp.video-detail": {"itemInfo": {}, "statusCode": code, "statusMsg": message}}
    assert failure_of(page(empty)).kind is kind


def test_page_without_the_post_passes_its_data_on() -> None:
    failure = failure_of(page({"webapp.app-context": {}}))
    assert failure.kind is FailureKind.INCOMPLETE
    assert isinstance(failure, PostUnreadableError)
    assert "webapp.app-context" in (failure.page_json or "")


@pytest.mark.parametrize(
    ("html", "kind"),
    [
        (CHALLENGE_PAGE, FailureKind.CHALLENGE),
        (CAPTCHA_PAGE, FailureKind.CHALLENGE),
        (b"<p id=cs>", FailureKind.CHALLENGE),
        (STUB_PAGE, FailureKind.SHIELD),
        (b"", FailureKind.SHIELD),
        (b" \r\n", FailureKind.SHIELD),
        (b"<html>" + b"x" * 9000, FailureKind.UNREADABLE),
        (b"<html>Please wait..." + b"x" * 300_000, FailureKind.UNREADABLE),
        (post_page(filler_bytes=4000)[:-2500], FailureKind.UNREADABLE),
        (post_page().replace(b'{"__D', b"{__D"), FailureKind.UNREADABLE),
        (post_page().replace(b"__DEFAULT_SCOPE__", b"__OTHER__"), FailureKind.UNREADABLE),
        (page([]), FailureKind.UNREADABLE),
        (
            b'<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__">' + b"[" * 200_000 + b"</script>",
            FailureKind.UNREADABLE,
        ),
    ],
)
def test_failure_kind_of_pages_without_data(html: bytes, kind: FailureKind) -> None:
    assert failure_of(html).kind is kind


def test_script_with_other_attributes_is_found() -> None:
    for nonce in (b"'x'", b'"a>b"', b"x"):
        html = b"<SCRIPT nonce=%b type='application/json' id='%b' a>" % (
            nonce,
            b"__UNIVERSAL_DATA_FOR_REHYDRATION__",
        )
        assert extract_scope(html + b' {"__DEFAULT_SCOPE__": {"a": "\xff\x00"}} </script>') == {
            "a": "\ufffd\0"
        }


def test_profile_page_has_exact_followers() -> None:
    profile = parse_profile_page(page(profile_scope()))
    assert (profile.account, profile.followers, profile.verified) == ("nasa", 1234567, True)


@pytest.mark.parametrize("followers", [-5, "many", None])
def test_rounded_followers_when_there_are_no_exact_ones(
    followers: Any,
) -> None:
    assert parse_profile_page(page(profile_scope(followers=followers))).followers == 1200000


@pytest.mark.parametrize(
    ("html", "kind"),
    [
        (
            page({"webapp.user-detail": {"userInfo": {}, "statusCode": 10221}}),
            FailureKind.BANNED_ACCOUNT,
        ),
        (page({"webapp.user-detail": {"statusCode": "10202"}}), FailureKind.BANNED_ACCOUNT),
        (page({"webapp.user-detail": {"statusCode": 10222}}), FailureKind.PRIVATE),
        (page({}), FailureKind.INCOMPLETE),
        (CHALLENGE_PAGE, FailureKind.CHALLENGE),
    ],
)
def test_failure_kind_when_the_profile_is_not_shown(html: bytes, kind: FailureKind) -> None:
    with pytest.raises(PostError) as caught:
        parse_profile_page(html)
    assert caught.value.kind is kind


def test_private_account_that_shows_its_counts() -> None:
    assert parse_profile_page(page(profile_scope(statusCode=10222))).followers == 1234567
