"""Whatever a page holds: a valid record or a typed failure, in time linear in its size."""

from __future__ import annotations

import contextlib
import json
import random
import re
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_tiktok.models import Post
from dagster_tiktok.tiktok.failures import PostError
from dagster_tiktok.tiktok.pages.post_page import parse_post_page
from dagster_tiktok.tiktok.pages.profile_page import parse_profile_page
from dagster_tiktok_tests.support.sample_pages import (
    POST_ID,
    carousel,
    page,
    post_page,
    post_scope,
    profile_scope,
)

pytestmark = pytest.mark.slow

NOW = datetime(2026, 9, 22, tzinfo=timezone.utc)
BASE = carousel(
    "6d5fe602159d40809b622acba205baae",
    authorStats={"followerCount": 5},
    textExtra=[{"type": 1, "hashtagName": "a", "start": 0, "end": 2}],
    challenges=[{"title": "b"}],
    desc="#a \U0001f92f #b",
    secret=False,
    isContentClassified=False,
)
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 2**31, -(2**31), 2**63, 10**400,
    "", "0", "-1", "\0", "\ud800", "\udfff\ud800", "https://[", "https://a/?x-expires=" + "9" * 99,
    "\uff03" * 50, "9" * 5000, [], {}, [[]], [None], {"": None}, [{}] * 300, POST_ID,
)  # fmt: skip
MUTATIONS = 10_000
# In a JSON text; not where a backslash and the letters stand.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def check(html: bytes) -> None:
    try:
        post = parse_post_page(html, expected_id=POST_ID, scraped_at=NOW)
    except PostError:
        return
    stored = post.model_dump_json()
    assert not NUL.search(stored)
    assert Post.model_validate_json(stored) == post


def mutated(value: Any, chance: random.Random, rate: float) -> Any:
    """A copy of `value` in which each part may be another thing, be gone, or be doubled."""
    if chance.random() < rate:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {
            name: mutated(part, chance, rate)
            for name, part in value.items()
            if chance.random() > rate
        }
    if isinstance(value, list):
        return [mutated(part, chance, rate) for part in value] * (1 + (chance.random() < rate))
    return value


def test_mutated_post_pages_raise_only_post_errors() -> None:
    chance = random.Random(1)
    plain = post_page(BASE)
    for number in range(MUTATIONS):
        if number % 2:
            scope = mutated(post_scope(BASE), chance, chance.choice((0.005, 0.02, 0.1)))
            check(page(scope))
            continue
        broken = bytearray(plain)
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(broken) or 1)
            if chance.random() < 0.5:
                broken[at : at + 1] = bytes([chance.randrange(256)])
            else:
                del broken[at : at + chance.choice((1, 2, 40, 5000))]
        check(bytes(broken))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ODD),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*BASE, "itemInfo", "itemStruct", "statusCode", "urlList"]) | st.text(),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
shortly = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@shortly
@given(st.sampled_from(sorted(BASE)), json_values)
def test_any_json_in_a_field_raises_only_post_errors(name: str, value: Any) -> None:
    check(post_page({**BASE, name: value}))


@shortly
@given(json_values)
def test_any_json_as_scope_raises_only_post_errors(value: Any) -> None:
    check(page(value))
    check(page({"webapp.video-detail": value, "seo.abtest": value}))
    with contextlib.suppress(PostError):
        parse_profile_page(page({"webapp.user-detail": value}))


@shortly
@given(st.binary(max_size=300))
def test_any_bytes_raise_only_post_errors(noise: bytes) -> None:
    check(noise)
    check(b'<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__">' + noise + b"</script>")


def test_page_of_300_kb() -> None:
    html = post_page({**BASE, "unread": ["x" * 60] * 450}, filler_bytes=270_000)
    assert len(html) > 300_000
    assert parse_post_page(html, expected_id=POST_ID, scraped_at=NOW).tiktok_id == POST_ID


def test_hostile_pages_of_megabytes_parse_in_bounded_time() -> None:
    """At these sizes, what is not linear takes hours. Seconds are in benchmarks/fuzz_pages.py."""
    data_id = b"__UNIVERSAL_DATA_FOR_REHYDRATION__"
    units = (
        b"<script " + data_id, data_id, b"<", b"<script", b"id" + b" " * 50, b"[", b'{"a":', b"#",
    )  # fmt: skip
    for unit in units:
        check(unit * (4_000_000 // len(unit)))
        check(b"<script id=" + data_id + b">" + unit * (2_000_000 // len(unit)) + b"</script>")


def test_caption_full_of_tags_parses_in_bounded_time() -> None:
    extras = [{"type": 1, "start": n, "end": n + 2, "hashtagName": "a"} for n in range(5000)]
    html = post_page({**BASE, "desc": "\U0001f92f#a" * 50_000, "textExtra": extras})
    check(html)


def test_mutated_profile_pages_raise_only_post_errors() -> None:
    chance = random.Random(2)
    for _ in range(1000):
        html = page(mutated(json.loads(json.dumps(profile_scope())), chance, 0.05))
        with contextlib.suppress(PostError):
            parse_profile_page(html)
