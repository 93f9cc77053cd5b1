"""oEmbed and the embed page: what is taken from them, and that no figure is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_tiktok.models import Metrics, Post
from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.tiktok.client import TikTokClient, TikTokRejectionError
from dagster_tiktok.tiktok.failures import FailureKind, PostError, PostUnavailableError
from dagster_tiktok.tiktok.pages.previews import parse_embed, parse_oembed
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.responses import html
from dagster_tiktok_tests.support.sample_pages import CHALLENGE_PAGE, POST_ID, STUB_PAGE
from dagster_tiktok_tests.support.settings import tiktok_settings

pytestmark = pytest.mark.slow

NOW = datetime(2026, 9, 22, 12, tzinfo=timezone.utc)
TITLE = "Look \U0001f92f #Space @nasa"
ANSWER = {
    "title": TITLE,
    "author_url": "https://www.tiktok.com/@nasa",
    "author_name": "NASA",
    "author_unique_id": "nasa",
    "embed_product_id": POST_ID,
    "embed_type": "video",
}


def oembed(answer: Any, code: int = 200) -> Post:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return parse_oembed(code, body, expected_id=POST_ID, scraped_at=NOW)


def embed_page(data: Any) -> bytes:
    state = json.dumps({"source": {"data": {f"/embed/v2/{POST_ID}": data}}})
    return f'<script id="__FRONTITY_CONNECT_STATE__">{state}</script>'.encode()


def embed(data: Any) -> Post:
    return parse_embed(embed_page(data), expected_id=POST_ID, scraped_at=NOW)


def with_sandbox(check: Callable[[TikTokServer, TikTokClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            TikTokServer(World(posts=90)) as server,
            TikTokClient(tiktok_settings(server.url), pause_seconds=0) as client,
        ):
            await check(server, client)

    asyncio.run(run())


def check_preview(found: Post, post: FakePost, method: str) -> None:
    assert (found.scraping_method, found.data_quality) == (method, "partial")
    assert (found.account, found.description) == (post.account, post.desc)
    assert found.post_url == post.canonical_url
    assert found.hashtags == post.hashtags
    assert found.posted_at == datetime.fromtimestamp(int(post.tiktok_id) >> 32, timezone.utc)
    assert (found.metrics, found.followers, found.slides) == (Metrics(), None, ())


def test_preview_has_caption_and_account_but_no_metrics() -> None:
    async def check(server: TikTokServer, client: TikTokClient) -> None:
        posts = [server.world.videos()[0], server.world.carousels()[0]]
        for post in posts:
            found = await client.fetch_preview(post.tiktok_id, user="whoever")
            check_preview(found, post, "oembed")
        assert server.log.by_kind == {"oembed": 2}

        server.faults.add(Fault("challenge", on="oembed"))
        for post in posts:
            found = await client.fetch_preview(post.tiktok_id)
            check_preview(found, post, "embed")
            assert found.account_verified is post.verified
        assert server.log.by_kind == {"oembed": 4, "embed": 2}
        assert client.requests_made == 6

    with_sandbox(check)


def test_post_that_is_not_public_is_gone() -> None:
    async def check(server: TikTokServer, client: TikTokClient) -> None:
        for name in ("deleted", "private"):
            with pytest.raises(PostUnavailableError) as caught:
                await client.fetch_preview(server.world.unavailable(name).tiktok_id)
            assert (caught.value.kind, caught.value.detail) == (
                FailureKind.GONE,
                "oEmbed: HTTP 400",
            )
        assert server.log.by_kind == {"oembed": 2}

    with_sandbox(check)


def test_breaker_opens_when_both_sources_reject() -> None:
    async def check(server: TikTokServer, client: TikTokClient) -> None:
        server.faults.add(Fault("captcha"))
        post = server.world.videos()[0]
        for _ in range(5):
            with pytest.raises(PostError) as caught:
                await client.fetch_preview(post.tiktok_id)
            assert caught.value.kind is FailureKind.CHALLENGE
        with pytest.raises(TikTokRejectionError):
            await client.fetch_preview(post.tiktok_id)
        assert client.requests_made == server.request_count == 10

    with_sandbox(check)


def test_redirect_to_another_host_is_not_followed() -> None:
    async def run() -> None:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            site.on("/oembed", html(b"", status=302, headers={"Location": "http://127.0.0.1:9/"}))
            site.on(f"/embed/v2/{POST_ID}", html(embed_page({})))
            with pytest.raises(PostError) as caught:
                await client.fetch_preview(POST_ID)
            assert caught.value.kind is FailureKind.INCOMPLETE
            assert site.paths == ["/oembed", f"/embed/v2/{POST_ID}"]

            site.on("/oembed", html(b'{"message": "Something went wrong"}', status=404))
            with pytest.raises(PostUnavailableError):
                await client.fetch_preview(POST_ID)
            assert site.paths[2:] == ["/oembed"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "account", "post_url"),
    [
        ({}, "nasa", f"https://www.tiktok.com/@nasa/video/{POST_ID}"),
        ({"embed_type": "photo"}, "nasa", f"https://www.tiktok.com/@nasa/photo/{POST_ID}"),
        ({"author_unique_id": ""}, "nasa", f"https://www.tiktok.com/@nasa/video/{POST_ID}"),
        (
            {"author_unique_id": None, "author_url": "https://evil.example/@nasa"},
            None,
            f"https://www.tiktok.com/@_/video/{POST_ID}",
        ),
        (
            {"embed_product_id": int(POST_ID)},
            "nasa",
            f"https://www.tiktok.com/@nasa/video/{POST_ID}",
        ),
        ({"embed_product_id": None}, "nasa", f"https://www.tiktok.com/@nasa/video/{POST_ID}"),
    ],
)
def test_oembed_account_is_valid_or_unknown(
    changes: dict[str, Any], account: str | None, post_url: str
) -> None:
    post = oembed({**ANSWER, **changes})
    assert (post.account, post.post_url) == (account, post_url)
    assert (post.description, post.hashtags, post.mentions) == (TITLE, ("space",), ("nasa",))


@pytest.mark.parametrize(
    ("answer", "code", "kind"),
    [
        ({"code": 400, "message": "Something went wrong"}, 400, FailureKind.GONE),
        ({"code": 404, "message": "Something went wrong"}, 404, FailureKind.GONE),
        # What is not oEmbed's own response says nothing of the post, whatever its status.
        (b"", 404, FailureKind.SHIELD),
        (b"", 400, FailureKind.SHIELD),
        (CHALLENGE_PAGE, 400, FailureKind.CHALLENGE),
        (CHALLENGE_PAGE, 404, FailureKind.CHALLENGE),
        (STUB_PAGE, 404, FailureKind.SHIELD),
        (b"<html>404 Not Found<hr>nginx</html>", 404, FailureKind.SHIELD),
        ({"message": "rpc timeout"}, 400, FailureKind.UNKNOWN_STATUS),
        ({"message": "rate limit exceeded"}, 400, FailureKind.UNKNOWN_STATUS),
        ({}, 400, FailureKind.UNKNOWN_STATUS),
        ([], 400, FailureKind.INCOMPLETE),
        ({**ANSWER, "embed_product_id": "7665075736742530317"}, 200, FailureKind.WRONG_ID),
        ({"code": 400, "message": "Something went wrong"}, 200, FailureKind.INCOMPLETE),
        (ANSWER, 418, FailureKind.INCOMPLETE),
        ([], 200, FailureKind.INCOMPLETE),
        (CHALLENGE_PAGE, 200, FailureKind.CHALLENGE),
        (STUB_PAGE, 200, FailureKind.SHIELD),
        (b"", 200, FailureKind.SHIELD),
        (b"[" * 200_000, 200, FailureKind.UNREADABLE),
        (b"<html>" + b"x" * 9000, 200, FailureKind.UNREADABLE),
    ],
)
def test_failure_kind_when_oembed_has_no_post(answer: Any, code: int, kind: FailureKind) -> None:
    with pytest.raises(PostError) as caught:
        oembed(answer, code)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"isError": True, "code": 404}, FailureKind.INCOMPLETE),
        ({"videoData": {"itemInfos": {}}}, FailureKind.INCOMPLETE),
        ({"videoData": {"itemInfos": {"text": "x"}}}, FailureKind.INCOMPLETE),
        ({"videoData": {"itemInfos": {"id": "7665075736742530317"}}}, FailureKind.WRONG_ID),
    ],
)
def test_failure_kind_when_embed_page_has_no_post(data: Any, kind: FailureKind) -> None:
    with pytest.raises(PostError) as caught:
        embed(data)
    assert caught.value.kind is kind


def test_control_characters_are_removed_from_previews() -> None:
    item = {"id": POST_ID, "text": "a\x1b[31m\u202eb\0 #t\ud800ag", "playCount": 5}
    author = {"uniqueId": "ev\x1b[31mil", "verified": "yes"}
    posts = [
        oembed({**ANSWER, "title": item["text"], "author_unique_id": author["uniqueId"]}),
        embed({"videoData": {"itemInfos": item, "authorInfos": author}}),
    ]
    for post in posts:
        assert (post.description, post.hashtags) == ("a[31mb #tag", ("tag",))
        assert (post.account or "nasa", post.account_verified) == ("nasa", None)
        assert post.metrics == Metrics()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(POST_ID),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ANSWER, "videoData", "itemInfos", "authorInfos", "id", "text"])
            | st.text(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None, database=None)
@given(json_values, st.binary(max_size=200))
def test_any_response_is_a_post_or_a_post_error(value: Any, noise: bytes) -> None:
    readers: list[Callable[[], Post]] = [
        lambda: oembed(value),
        lambda: oembed({**ANSWER, "title": value}),
        lambda: oembed(noise),
        lambda: embed(value),
        lambda: embed({"videoData": value}),
        lambda: parse_embed(noise, expected_id=POST_ID, scraped_at=NOW),
    ]
    for read in readers:
        try:
            post = read()
        except PostError:
            continue
        assert Post.model_validate_json(post.model_dump_json()) == post
