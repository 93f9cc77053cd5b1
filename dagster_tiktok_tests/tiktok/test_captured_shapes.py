"""What captured pages hold beside the usual: other shapes of the same facts, and less of them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from dagster_tiktok.tiktok.failures import FailureKind, PostError
from dagster_tiktok.tiktok.pages.post_page import parse_post_page
from dagster_tiktok.tiktok.pages.profile_page import parse_profile_page
from dagster_tiktok_tests.support.sample_pages import (
    MOBILE_SCOPE_NAME,
    NOW,
    POST_ID,
    VIDEO_SCOPE_NAME,
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

PREFIX = "item_privacy_authorization&"
EMPTY_USER = {"user": {"id": "", "uniqueId": ""}, "stats": {"followerCount": 0}}


def kind_of(html: bytes) -> FailureKind:
    with pytest.raises(PostError) as caught:
        parse(html)
    return caught.value.kind


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("", FailureKind.UNKNOWN_STATUS),
        (None, FailureKind.UNKNOWN_STATUS),
        ("item doesn't exist", FailureKind.GONE),
        ("status_deleted", FailureKind.GONE),
        ("status_self_see", FailureKind.PRIVATE),
        ("status_reviewing", FailureKind.WITHHELD),
        ("status_audit_not_pass", FailureKind.WITHHELD),
        ("cross_border_violation_ur", FailureKind.GEOFENCED),
        ("person_geo_fencing", FailureKind.GEOFENCED),
    ],
)
@pytest.mark.parametrize("name", [VIDEO_SCOPE_NAME, MOBILE_SCOPE_NAME])
@pytest.mark.parametrize("code", [10204, "10204"])
def test_message_decides_for_the_catch_all_code(
    code: Any, name: str, message: str | None, kind: FailureKind
) -> None:
    spellings = [message] if message is None else [message, message.title(), PREFIX + message]
    for spelling in spellings:
        details: list[dict[str, Any]] = [{}, {"itemInfo": {}}, {"itemInfo": None, "shareMeta": {}}]
        for detail in details:
            part = {**detail, "statusCode": code, "statusMsg": spelling}
            scope = {"webapp.app-context": {}, name: part}
            assert kind_of(page(scope)) is kind
            assert kind_of(page(scope, indent=2, filler_bytes=300_000)) is kind


def test_mobile_part_is_read_when_the_desktop_part_is_empty() -> None:
    scope = {VIDEO_SCOPE_NAME: {}, **post_scope(item(), name=MOBILE_SCOPE_NAME)}
    assert parse(page(scope)).metrics.views == 254088
    told = {VIDEO_SCOPE_NAME: {}, MOBILE_SCOPE_NAME: {"statusCode": 10216}}
    assert kind_of(page(told)) is FailureKind.PRIVATE


@pytest.mark.parametrize(
    ("author", "account"),
    [
        ("nasa", "nasa"),
        ("7664638705177150477", None),
        (7664638705177150477, None),
        ({"id": "7664638705177150477", "nickname": "NASA"}, None),
        ([], None),
    ],
)
def test_author_as_text_is_a_name_unless_it_is_a_number(author: Any, account: str | None) -> None:
    scope = post_scope(item(author=author, nickname="NASA", authorId="7664638705177150477"))
    assert parse(page(scope)).account == account
    scope["seo.abtest"] = {"canonical": f"https://www.tiktok.com/@nasa/video/{POST_ID}"}
    assert parse(page(scope)).account == "nasa"


def test_empty_counts_fall_back_to_the_other_counts() -> None:
    struct = item()
    struct["statsV2"] |= {"playCount": "", "collectCount": ""}
    struct["stats"] |= {"collectCount": ""}
    post = parse(post_page(struct))
    assert (post.metrics.views, post.metrics.bookmarks) == (254100, None)
    assert post.data_quality == "partial"
    assert parse(post_page(item(stats=None))).metrics.views == 254088


@pytest.mark.parametrize("nothing", [None, [], {}, "", 0, False])
def test_null_in_place_of_lists(
    nothing: Any,
) -> None:
    struct = item() | dict.fromkeys(("textExtra", "challenges", "music", "authorStats"), nothing)
    post = parse(post_page(struct, code=nothing))
    assert (post.metrics.views, post.sound, post.hashtags) == (254088, None, ())


@pytest.mark.parametrize(
    "missing",
    [None, {}, {"imageWidth": 1080}, {"imageURL": None}, {"imageURL": {"urlList": []}}],
)
def test_slide_without_a_url_keeps_the_others_in_place(
    missing: Any,
) -> None:
    struct = carousel(A, authorStats={"followerCount": 5})
    struct["imagePost"]["images"] = [image(A), missing, image(B)]
    post = parse(post_page(struct))
    assert [(slide.number, slide.image_key) for slide in post.slides] == [(1, A), (2, None), (3, B)]
    assert [bool(slide.mirrors) for slide in post.slides] == [True, False, True]
    assert (post.data_quality, post.metrics.views) == ("partial", 254088)


def test_hashtags_after_emoji_on_a_full_page() -> None:
    desc = "\U0001f92f\U0001f469\u200d\U0001f680 #Space \U0001f52d#nasa\u2764\ufe0f"
    start = desc.encode("utf-16-le").index("#".encode("utf-16-le")) // 2
    tag = {"type": 1, "hashtagName": "space", "start": start, "end": start + len("#Space")}
    scope = post_scope(item(desc=desc, textExtra=[tag, None, {"type": "x"}], createTime=1788540697))
    scope |= {"webapp.biz-context": {"a": [1]}, "webapp.new": None, "seo.abtest": {"vidList": []}}
    for html in (page(scope, filler_bytes=330_000), page(scope, indent=4)):
        post = parse(html)
        assert post.hashtags == ("space", "nasa")
        assert post.posted_at == datetime(2026, 9, 4, 16, 51, 37, tzinfo=timezone.utc)


@pytest.mark.parametrize("code", [10221, "10221", 10202])
@pytest.mark.parametrize("info", [None, {}, EMPTY_USER, {"user": {}, "stats": {}}])
def test_zeros_of_a_banned_account_are_no_followers(code: Any, info: Any) -> None:
    html = page({"webapp.user-detail": {"userInfo": info, "statusCode": code, "statusMsg": ""}})
    with pytest.raises(PostError) as caught:
        parse_profile_page(html)
    assert caught.value.kind is FailureKind.BANNED_ACCOUNT
    assert kind_of(html) is FailureKind.INCOMPLETE, "it does not say whose account that is"


def test_private_account_without_a_name() -> None:
    html = page(profile_scope(statusCode=10222, userInfo=EMPTY_USER))
    with pytest.raises(PostError) as caught:
        parse_profile_page(html)
    assert caught.value.kind is FailureKind.PRIVATE


@pytest.mark.parametrize(
    ("shown", "user", "canonical", "kind"),
    [
        # Somebody else's account, or nobody knows whose: nothing is final.
        ("another", None, None, FailureKind.INCOMPLETE),
        ("another", "nasa", None, FailureKind.INCOMPLETE),
        ("nasa", None, None, FailureKind.INCOMPLETE),
        ("", "nasa", None, FailureKind.INCOMPLETE),
        (None, "nasa", None, FailureKind.INCOMPLETE),
        ("_", "_", None, FailureKind.INCOMPLETE),
        ("another", "another", f"@nasa/video/{POST_ID}", FailureKind.INCOMPLETE),
        ("another", None, "@another", FailureKind.INCOMPLETE),
        ("another", None, "@another/video/7681723633164717326", FailureKind.INCOMPLETE),
        ("_", None, f"@_/video/{POST_ID}", FailureKind.INCOMPLETE),
        # The post's own.
        ("nasa", "nasa", None, FailureKind.PRIVATE),
        ("NASA", "nasa", None, FailureKind.PRIVATE),
        ("nasa", None, f"@nasa/video/{POST_ID}", FailureKind.PRIVATE),
        ("nasa", "renamed", f"@Nasa/photo/{POST_ID}", FailureKind.PRIVATE),
    ],
)
def test_account_in_place_of_a_post_is_permanent_only_for_its_own_posts(
    shown: str | None, user: str | None, canonical: str | None, kind: FailureKind
) -> None:
    info = {"user": {"uniqueId": shown}, "stats": {}} if shown is not None else {}
    scope = profile_scope(statusCode=10222, userInfo=info)
    scope["seo.abtest"] = {"canonical": f"https://www.tiktok.com/{canonical}" if canonical else ""}
    with pytest.raises(PostError) as caught:
        parse_post_page(page(scope), expected_id=POST_ID, scraped_at=NOW, user=user)
    assert caught.value.kind is kind


def test_rejection_on_an_account_page() -> None:
    assert kind_of(page(profile_scope(statusCode=10114, userInfo={}))) is FailureKind.SHIELD


def test_profile_in_place_of_a_post_is_transient() -> None:
    assert kind_of(page(profile_scope())) is FailureKind.INCOMPLETE


@pytest.mark.parametrize(
    ("html", "kind"),
    [
        (b"", FailureKind.SHIELD),
        (b"\n", FailureKind.SHIELD),
        (b'<!DOCTYPE html><html><body><div id="app">' + b" " * 590 + b"</div>", FailureKind.SHIELD),
        (b"<html><p id='wci' class='_wafchallengeid'></p>" + b"x" * 1350, FailureKind.CHALLENGE),
        (b"<html><p class=x id=rs>" + b"x" * 1350, FailureKind.CHALLENGE),
        (b"<html> Please wait... " + b"x" * 1350, FailureKind.CHALLENGE),
        (b'<script>{"slardarClient": "SlardarWAF"}</script>' + b"x" * 1350, FailureKind.CHALLENGE),
        (b'<div id="captcha-init"></div>' + b"x" * 5670, FailureKind.CHALLENGE),
        (b"<html><title>Log in | TikTok</title>" + b"x" * 4000, FailureKind.UNREADABLE),
    ],
)
def test_rejection_pages_are_recognized(html: bytes, kind: FailureKind) -> None:
    assert kind_of(html) is kind
