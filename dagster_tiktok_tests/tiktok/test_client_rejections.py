"""What the client says of answers that show no post: to the stage, to `doctor`, to the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

import pytest

from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok.tiktok.failures import PostError
from dagster_tiktok.tiktok.links.post_links import PostRef
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.responses import (
    Respond,
    half_a_page,
    hang_up,
    html,
    redirect,
    status,
)
from dagster_tiktok_tests.support.sample_pages import (
    CHALLENGE_PAGE,
    POST_ID,
    STUB_PAGE,
    carousel,
    item,
    page,
    post_page,
    post_scope,
    profile_scope,
)
from dagster_tiktok_tests.support.settings import tiktok_settings

pytestmark = pytest.mark.slow

PAGE = f"/@_/video/{POST_ID}"
LINK = PostRef(short_code="ZMabc1234")
OTHER = item(id=str(int(POST_ID) + 1))


async def failure_of(call: Awaitable[object]) -> PostError:
    with pytest.raises(PostError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(
    ("answer", "about_post"),
    [
        (html(page(post_scope(None, code=10101))), True),
        (html(page(post_scope(None, code=10102))), True),
        (html(page(post_scope(None, code=-7))), True),
        (html(page({})), True),
        (html(post_page(OTHER)), True),
        (html(b"<html>" + b"x" * 9000), True),
        (html(post_page(item(stats=None, statsV2=None))), True),
        (html(page(post_scope(None, code=10204, message="status_deleted"))), True),
        (html(CHALLENGE_PAGE), False),
        (html(STUB_PAGE), False),
        (html(page(post_scope(None, code=10114))), False),
        (status(401), False),
        (status(403), False),
        (status(429, Retry_After="0"), False),
        (status(502, Retry_After="0"), False),
        (redirect("/login?redirect_url=x"), False),
    ],
)
def test_response_without_the_post_says_whose_fault_it_is(
    answer: Respond, about_post: bool
) -> None:
    async def run() -> None:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            site.on(PAGE, answer)
            assert (await failure_of(client.fetch_post(POST_ID))).about_post is about_post

    asyncio.run(run())


def test_breaker_counts_redirects_to_the_login_page() -> None:
    async def run() -> None:
        async with (
            ScriptedServer() as site,
            TikTokClient(tiktok_settings(site.url), pause_seconds=0) as client,
        ):
            site.on(PAGE, redirect("/Login"))
            for _ in range(10):
                await failure_of(client.fetch_post(POST_ID))
            with pytest.raises(ServiceUnavailableError, match="TikTok rejected 10 requests"):
                await client.fetch_post(POST_ID)

    asyncio.run(run())


def test_short_links_to_invalid_urls_are_no_rejections() -> None:
    async def run() -> None:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            site.on(f"/t/{LINK.short_code}/", redirect("http://[::1:/x"))
            for _ in range(12):
                assert not (await failure_of(client.resolve(LINK))).failure.permanent
            assert len(site.requests) == 12

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (html(CHALLENGE_PAGE), r"\(challenge: a challenge page .*\): wait an hour"),
        (status(403), r"\(shield: /@tiktok: HTTP 403\): wait an hour, and lower TIKTOK_REQ"),
        (html(b"<p>" + b"x" * 9000), r"\(unreadable: .*\): check the URL and the network\.$"),
    ],
)
def test_check_says_what_to_do_when_pages_are_unreadable(answer: Respond, words: str) -> None:
    async def run() -> None:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            site.on("/@tiktok", answer)
            with pytest.raises(ServiceUnavailableError, match=words) as caught:
                await client.check()
            assert str(caught.value).startswith(f"TIKTOK_BASE_URL ({site.url}) sent no page")
            assert "tried again" not in str(caught.value)

    asyncio.run(run())


def test_check_names_the_site_and_accepts_a_missing_account() -> None:
    async def run() -> None:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            absent = page({"webapp.user-detail": {"statusCode": 10221}})
            site.on("/@tiktok", html(page(profile_scope("tiktok"))), html(absent))
            for _ in range(2):
                assert await client.check() == f"{site.url} sends pages that we can read"

    asyncio.run(run())


def test_connection_errors_have_readable_reasons() -> None:
    async def check_of_nobody() -> str:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            await site.close()
            with pytest.raises(ServiceUnavailableError) as caught:
                await client.check()
            return str(caught.value).replace(site.url, "URL")

    async def detail_of(fault: Respond, **settings: object) -> str:
        async with (
            ScriptedServer() as site,
            TikTokClient(tiktok_settings(site.url, **settings)) as client,
        ):
            site.on(PAGE, fault)
            return (await failure_of(client.fetch_post(POST_ID))).detail

    async def run() -> tuple[str, ...]:
        return await asyncio.gather(
            check_of_nobody(),
            detail_of(hang_up),
            detail_of(half_a_page),
            detail_of(half_a_page, tiktok_base_url="http://tiktok.invalid"),
        )

    assert tuple(asyncio.run(run())) == (
        "TIKTOK_BASE_URL (URL) sent no page that we can read (network: connection refused): "
        "check the URL and the network.",
        "the connection ended without a response",
        "the response was truncated",
        "the host name is unknown",
    )


def test_followers_do_not_complete_a_post_with_too_many_slides() -> None:
    async def run() -> None:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            site.on(PAGE, html(post_page(carousel(*["a" * 32] * 36))))
            site.on("/@nasa", html(page(profile_scope())))
            post = await client.fetch_post(POST_ID)
            assert (post.followers, post.data_quality) == (1234567, "partial")

    asyncio.run(run())


def test_control_characters_in_an_account_are_never_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            site.on(PAGE, html(post_page(item(author={"uniqueId": "ev\x1b[31mil\u202e"}))))
            assert (await client.fetch_post(POST_ID)).followers is None
            assert site.paths == [PAGE]
            site.on(PAGE, html(post_page()))
            site.on("/@nasa", redirect("http://a.example/\u202e%1b[31m"))
            await client.fetch_post(POST_ID)

    asyncio.run(run())
    lines = [record.getMessage() for record in caplog.records]
    assert any("Followers of @nasa are unknown" in line for line in lines)
    assert all(line.isprintable() for line in lines)
