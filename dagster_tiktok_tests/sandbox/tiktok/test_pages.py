"""The shapes of the pages, type by type, against what is true."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest

from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakeMetrics, FakePost, rounded
from dagster_tiktok.sandbox.tiktok.content.items import as_int32
from dagster_tiktok.sandbox.tiktok.content.pages import PageWriter
from dagster_tiktok.sandbox.tiktok.content.slide_urls import SlideSigner
from dagster_tiktok.sandbox.tiktok.content.statuses import LASTING_STATUSES, STATUSES
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http import rejections

BASE = "http://127.0.0.1:1"
WORLD = World(posts=90)
SIGNER = SlideSigner(b"secret", 40 * 3600)
WRITER = PageWriter(lambda slide: SIGNER.make_urls(BASE, slide.image_key), BASE)
SCRIPT = re.compile(
    r'<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__" type="application/json">(.*?)</script>', re.S
)


def scope(page: bytes) -> dict[str, Any]:
    match = SCRIPT.search(page.decode())
    assert match
    found: dict[str, Any] = json.loads(match[1])["__DEFAULT_SCOPE__"]
    return found


def item(post: FakePost) -> dict[str, Any]:
    detail = scope(WRITER.post(post.tiktok_id, post))["webapp.video-detail"]
    found: dict[str, Any] = detail["itemInfo"]["itemStruct"]
    return found


@pytest.mark.parametrize("post", WORLD.posts, ids=lambda p: f"{p.status}-{p.kind}")
def test_pages_have_the_size_and_marks_of_real_ones(post: FakePost) -> None:
    page = WRITER.post(post.tiktok_id, post)
    assert 250_000 <= len(page) <= 400_000
    assert b"Video unavailable" in page
    assert b"captcha" in page
    script = SCRIPT.search(page.decode())
    assert script
    assert len(script[1]) > 27_000
    assert "\\u002F" in script[1]
    assert "/" not in script[1]
    assert scope(page)["seo.abtest"]["canonical"] == post.canonical_url
    assert gzip.decompress(WRITER.post(post.tiktok_id, post, gzip=True)) == page


def test_video_page_has_the_types_of_a_real_one() -> None:
    post = WORLD.videos()[0]
    found = item(post)
    assert found["id"] == post.tiktok_id
    assert found["createTime"] == str(post.created)
    assert found["desc"] == post.desc
    counts = {name: type(value) for name, value in found["stats"].items()}
    assert counts.pop("collectCount") is str
    assert set(counts.values()) == {int}
    assert {type(value) for value in found["statsV2"].values()} == {str}
    assert found["statsV2"]["repostCount"] == str(post.metrics.shown.reposts)
    assert found["author"]["uniqueId"] == post.account
    assert found["author"]["verified"] is post.verified
    assert found["video"]["playAddr"].startswith(BASE)
    assert "imagePost" not in found


def test_large_counts_are_rounded_in_both_objects() -> None:
    world = World(posts=10)
    post = world.new_post(metrics=FakeMetrics(1_254_321, 12_345, 9_999, 10_049, 999_949))
    found = item(post)
    assert found["stats"] == {
        "playCount": 1_300_000,
        "diggCount": 12_300,
        "commentCount": 9_999,
        "shareCount": 10_000,
        "collectCount": "999900",
    }
    assert found["statsV2"]["playCount"] == "1300000"
    assert (rounded(9_999), rounded(10_050), rounded(1_050_000)) == (9_999, 10_100, 1_100_000)
    assert as_int32(2_669_355_760) == -1_625_611_536


def test_carousel_slides_have_two_mirrors_and_a_separate_cover() -> None:
    post = WORLD.carousels(35)[0]
    found = item(post)
    images = found["imagePost"]["images"]
    assert len(images) == 35
    assert found["video"]["playAddr"] == ""
    assert found["video"]["duration"] == 0
    signatures = set()
    for slide, image in zip(post.slides, images, strict=True):
        assert (image["imageWidth"], image["imageHeight"]) == (slide.width, slide.height)
        urls = image["imageURL"]["urlList"]
        assert len(urls) == 2
        assert all(slide.image_key in url for url in urls)
        signatures |= {re.search("x-signature=([^&]+)", a)[1] for a in urls}  # type: ignore[index]
    assert len(signatures) == 70
    cover = found["imagePost"]["cover"]["imageURL"]["urlList"][0]
    assert post.cover.image_key in cover
    assert post.cover.image_key != post.slides[0].image_key


def test_text_extra_marks_tags_in_utf16_units() -> None:
    for post in (p for p in WORLD.videos() + WORLD.carousels() if p.hashtags):
        units = post.desc.encode("utf-16-le")
        found = item(post)
        names = []
        for entry in found.get("textExtra", []):
            text = units[entry["start"] * 2 : entry["end"] * 2].decode("utf-16-le")
            if entry.get("hashtagName"):
                assert text.lower() == "#" + entry["hashtagName"]
                names.append(entry["hashtagName"])
            elif entry.get("userUniqueId"):
                assert entry["type"] == 0
                assert text == "@" + entry["userUniqueId"]
        assert set(names) <= set(post.hashtags)
        if not post.partial_text_extra:
            assert tuple(dict.fromkeys(names)) == post.hashtags
            assert tuple(c["title"] for c in found["challenges"]) == post.hashtags


def test_fields_are_absent_without_music_or_tags() -> None:
    post = next(p for p in WORLD.posts if p.status == "available" and p.music is None)
    assert "music" not in item(post)
    untagged = next(p for p in WORLD.videos() if not p.caption.spans and not p.partial_text_extra)
    assert not {"challenges", "textExtra"} & set(item(untagged))


@pytest.mark.parametrize("name", LASTING_STATUSES)
def test_unavailable_post_page_looks_like_a_real_one(name: str) -> None:
    status, post = STATUSES[name], WORLD.unavailable(name)
    detail = scope(WRITER.post(post.tiktok_id, post))["webapp.video-detail"]
    assert (detail["statusCode"], detail["statusMsg"]) == (status.code, status.message)
    if status.shape == "no_item":
        assert "itemInfo" not in detail
    elif status.shape == "empty_item":
        assert detail["itemInfo"] == {}
    elif status.shape == "classified":
        found = detail["itemInfo"]["itemStruct"]
        assert found["isContentClassified"] is True
        assert "video" not in found
    else:
        found = detail["itemInfo"]["itemStruct"]
        assert found["createTime"] == "0"
        assert "stats" not in found


def test_page_of_an_unknown_id() -> None:
    detail = scope(WRITER.post("7000000000000000001", None))["webapp.video-detail"]
    assert detail == {"itemInfo": {}, "statusCode": 10204, "statusMsg": "item doesn't exist"}


def test_scope_of_mobile_pages_and_photo_urls() -> None:
    post = WORLD.carousels(6)[0]
    mobile = scope(WRITER.post(post.tiktok_id, post, mobile=True))
    assert "webapp.video-detail" not in mobile
    assert mobile["webapp.reflow.video.detail"]["itemInfo"]["itemStruct"]["id"] == post.tiktok_id
    photo = scope(WRITER.post(post.tiktok_id, post, photo_form=True))
    assert not {"webapp.video-detail", "webapp.reflow.video.detail"} & set(photo)
    assert photo["seo.abtest"]["canonical"].endswith(f"/photo/{post.tiktok_id}")


def test_pretty_printed_pages_have_the_same_data() -> None:
    pretty = [p for p in WORLD.posts if p.pretty_printed and p.status == "available"]
    assert pretty
    for post in pretty:
        page = WRITER.post(post.tiktok_id, post)
        assert b'\n  "itemInfo": {' in page
        assert item(post)["id"] == post.tiktok_id


def test_profile_stats_overflow_and_stats_v2_are_exact() -> None:
    account = next(a for a in WORLD.accounts.values() if a.hearts > 2**31)
    page = WRITER.profile(account.unique_id, account, None)
    info = scope(page)["webapp.user-detail"]["userInfo"]
    assert info["user"]["uniqueId"] == account.unique_id
    assert info["stats"]["heartCount"] < 0
    assert info["stats"]["followerCount"] == account.followers
    assert info["statsV2"]["followerCount"] == str(account.followers)


@pytest.mark.parametrize(
    ("name", "code"),
    [("banned.acc", 10221), ("absent.acc", 10202), ("private.acc", 10222), ("nobody", 10202)],
)
def test_profile_of_a_private_or_banned_account_has_a_code(name: str, code: int) -> None:
    detail = scope(WRITER.profile(name, WORLD.accounts.get(name), None))["webapp.user-detail"]
    assert detail["statusCode"] == code
    assert ("userInfo" in detail) is (name == "private.acc")


def test_post_page_may_have_followers() -> None:
    with_stats = next(p for p in WORLD.videos() if p.author_stats_on_page)
    found = item(with_stats)
    assert found["authorStatsV2"]["followerCount"] == str(with_stats.followers)
    assert type(found["authorStats"]["followerCount"]) is int
    without = next(p for p in WORLD.videos() if not p.author_stats_on_page)
    assert "authorStats" not in item(without)


def test_rejections_have_the_size_and_marks_of_real_ones() -> None:
    challenge = rejections.challenge_page()
    assert len(challenge) == pytest.approx(1_400, abs=60)
    assert all(mark in challenge for mark in (b"Please wait...", b"SlardarWAF", b'id="cs"'))
    assert all(mark in challenge for mark in (b'id="wci"', b'id="rci"', b'id="rs"'))
    assert len(rejections.captcha_page()) == 5_700
    assert b"captcha-init" in rejections.captcha_page()
    assert len(rejections.short_page()) == 640
