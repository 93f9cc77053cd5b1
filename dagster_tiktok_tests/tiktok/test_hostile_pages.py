"""Text and numbers of a page that would do harm further on: in terminals, tables, memory."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timezone
from typing import Any

import pytest

from dagster_tiktok.models import Post
from dagster_tiktok.tiktok.pages.post_page import parse_post_page
from dagster_tiktok.tiktok.pages.profile_page import parse_profile_page
from dagster_tiktok_tests.support.sample_pages import (
    POST_ID,
    carousel,
    item,
    page,
    post_page,
    post_scope,
    profile_scope,
)

NOW = datetime(2026, 9, 22, 12, tzinfo=timezone.utc)
KEY = "6d5fe602159d40809b622acba205baae"
ATTACK = "ev\x1b[31mil\x1b]0;pwned\x07\u202e\x9b2J"
HARMLESS = "ev[31mil]0;pwned2J"


def parse(html: bytes) -> Post:
    return parse_post_page(html, expected_id=POST_ID, scraped_at=NOW)


@pytest.mark.parametrize(
    "name",
    [ATTACK, "", "a b", "../x", "a/b", "a\n", " nasa", "n\u00e4sa", "a" * 65, 5, None, "a\0"],
)
def test_invalid_account_name_is_unknown(name: Any) -> None:
    scope = post_scope(item(author={"uniqueId": name, "verified": True}))
    if isinstance(name, str):
        scope["seo.abtest"] = {"canonical": f"https://www.tiktok.com/@{name}/video/{POST_ID}"}
    post = parse(page(scope))
    assert (post.account, post.account_verified) == (None, None)
    assert post.post_url == f"https://www.tiktok.com/@_/video/{POST_ID}"
    assert parse_profile_page(page(profile_scope(name))).account is None


@pytest.mark.parametrize("name", ["nasa", "a", "Some.One_1", "with-hyphen", "x" * 64])
def test_valid_account_names(name: str) -> None:
    assert parse(post_page(item(author={"uniqueId": name}))).account == name
    assert parse(post_page(item(author=name))).account == name


def test_control_characters_are_removed() -> None:
    every = "".join(map(chr, [*range(0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]))
    post = parse(
        post_page(
            item(
                desc=f"one\n\ttwo {ATTACK} {every}",
                music={"id": "7420633921946782469", "title": ATTACK},
                challenges=[{"title": ATTACK}],
                textExtra=[{"type": 0, "userUniqueId": ATTACK}],
            )
        )
    )
    assert post.description.startswith(f"one\n\ttwo {HARMLESS} ")
    assert (post.sound, post.hashtags[-1], post.mentions) == (HARMLESS, HARMLESS.lower(), ())
    shown = post.description + (post.sound or "") + "".join(post.hashtags) + post.post_url
    assert {c for c in shown if unicodedata.category(c) == "Cc"} == {"\n", "\t"}
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_emoji_sequences_stay_whole() -> None:
    text = "\U0001f469\u200d\U0001f52c \u2764\ufe0f \u05d0\u200f \u200c"
    assert parse(post_page(item(desc=text))).description == text


def test_offsets_count_removed_characters() -> None:
    desc = "\x1b\u202e\U0001f92f #Lo\x9bve\u2764\ufe0f #x"
    start = desc.encode("utf-16-le").index("#".encode("utf-16-le")) // 2
    end = start + len("#Lo\x9bve\u2764\ufe0f")
    tag = {"type": 1, "hashtagName": "lo\x9bve\u2764\ufe0f", "start": start, "end": end}
    post = parse(post_page(item(desc=desc, textExtra=[tag])))
    assert post.hashtags == ("love\u2764\ufe0f", "x")
    assert post.description == "\U0001f92f #Love\u2764\ufe0f #x"


@pytest.mark.parametrize(("slides", "quality"), [(35, "complete"), (36, "partial")])
def test_first_slides_are_kept_when_there_are_too_many(slides: int, quality: str) -> None:
    post = parse(post_page(carousel(*[KEY] * slides, authorStats={"followerCount": 1})))
    assert [slide.number for slide in post.slides] == list(range(1, 36))
    assert post.data_quality == quality


def test_count_above_the_maximum_is_missing() -> None:
    stats = {"playCount": str(2**53 - 1), "diggCount": str(2**53), "commentCount": 2**53}
    post = parse(post_page(item(stats=None, statsV2=stats, authorStats={"followerCount": 2**53})))
    assert post.metrics.views == 2**53 - 1
    assert (post.metrics.likes, post.metrics.comments, post.followers) == (None, None, None)


@pytest.mark.parametrize("size", [0, -1, 2**31, 2**63, 10**400, "wide", 1.5, True, None])
def test_impossible_image_size_is_missing(size: Any) -> None:
    struct = carousel(KEY)
    struct["imagePost"]["images"][0].update(imageWidth=size, imageHeight=size)
    (slide,) = parse(post_page(struct)).slides
    assert (slide.width, slide.height) == (None, None)
