"""How the CDN is asked: how often, and with whose cookies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest
from aiohttp import web

from dagster_tiktok.models import SlideSource
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.slides.download import DownloadedSlide, SlideDownloader
from dagster_tiktok.slides.failures import SlideError, SlideUrlExpiredError
from dagster_tiktok.slides.mirrors import cache_key
from dagster_tiktok.slides.stream import Transfer
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.support import responses
from dagster_tiktok_tests.support.cdn import Cdn
from dagster_tiktok_tests.support.images import jpeg
from dagster_tiktok_tests.support.responses import Respond


async def fetch(
    downloader: SlideDownloader, source: SlideSource, transfer: Transfer | None = None
) -> DownloadedSlide:
    slide = await downloader.fetch(source, cache_key("1", source), transfer)
    slide.release()
    return slide


def noting(times: list[float], respond: Respond) -> Respond:
    async def noted(request: web.Request) -> web.StreamResponse:
        times.append(time.monotonic())
        return await respond(request)

    return noted


def test_redirects_and_retries_count_for_the_rate_limit(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        times: list[float] = []
        async with Cdn() as cdn:
            settings = make_settings(slide_allowed_hosts=cdn.host, slide_requests_per_second=40)
            for number in range(6):
                cdn.files |= {f"{number}": jpeg(number), f"target-{number}": jpeg(number)}
                cdn.on(f"target-{number}", noting(times, responses.whole_file))
                cdn.on(
                    f"{number}",
                    noting(times, responses.status(503)),
                    noting(times, responses.redirect(f"/target-{number}")),
                )
            async with SlideDownloader(settings, max_wait=0.01) as downloader:
                slides = [cdn.slide(number + 1, str(number)) for number in range(6)]
                started = time.monotonic()

                async def began(source: SlideSource) -> float:
                    slide = await fetch(downloader, source)
                    return time.monotonic() - slide.seconds

                attempts = await asyncio.gather(*map(began, slides))
        assert len(times) == 18
        # A request that begins late gives up to half an interval back, once.
        assert max(times) - started >= 16.5 / 40
        # The time of a download is its own: that it waited for its turn is not the host's fault.
        # The second attempt is the one that succeeds, and six turns are those of the first ones.
        assert min(attempts) - started >= 5.5 / 40

    asyncio.run(run())


def test_cookies_are_sent_unchanged_and_to_allowed_hosts_only(
    make_settings: MakeSettings,
) -> None:
    cookies: dict[str, str] = {}

    def current() -> Mapping[str, str]:
        return cookies

    async def run() -> None:
        async with Cdn() as cdn, Cdn() as elsewhere:
            cdn.files = elsewhere.files = {name: jpeg() for name in ("a", "b", "c")}
            cdn.on("b", responses.redirect("/c?x-signature=1"))
            cdn.on("c", responses.whole_file, responses.redirect(elsewhere.slide_url("a")))
            settings = make_settings(slide_allowed_hosts=cdn.host)
            async with SlideDownloader(settings, cookies=current) as downloader:
                await fetch(downloader, cdn.slide(1, "a"))
                cookies.update(ttwid="1%7CabC", msToken="x-_y==")
                await fetch(downloader, cdn.slide(2, "b"))
                for url in (cdn.slide_url("c"), elsewhere.slide_url("a")):
                    with pytest.raises(SlideError, match="not allowed"):
                        await fetch(downloader, SlideSource(number=3, mirrors=(url,)))
        sent = "ttwid=1%7CabC; msToken=x-_y=="
        assert [(seen.path, seen.headers.get("Cookie")) for seen in cdn.requests] == [
            ("/a", None),
            ("/b", sent),
            ("/c", sent),
            ("/c", sent),
        ]
        assert not elsewhere.requests

    asyncio.run(run())


def test_slides_are_requested_with_the_cookies_of_their_page(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        world = World(posts=1, only="carousel", slide_count=2)
        async with TikTokServer(world) as server:
            settings = make_settings(
                tiktok_base_url=server.url, slide_allowed_hosts=f"127.0.0.1:{server.port}"
            )
            async with (
                TikTokClient(settings) as client,
                SlideDownloader(settings, cookies=client.cookies) as downloader,
            ):
                assert client.cookies() == {}
                post = await client.fetch_post(world.posts[0].tiktok_id)
                assert "ttwid" in client.cookies()
                for source in post.slides:
                    await fetch(downloader, source)
            asked = server.log.selected(kind="slide")
            assert len(asked) == 2
            assert all(entry.has_cookies for entry in asked)
            assert {entry.referer for entry in asked} == {"https://www.tiktok.com/"}

    asyncio.run(run())


def test_each_failed_request_is_counted_with_its_host_and_bytes(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        async with Cdn() as one, Cdn() as other:
            one.files = other.files = {"a": jpeg()}
            one.on("a", responses.cut_off(3000), responses.status(404))
            other.on("a", responses.status(503), responses.whole_file)
            settings = make_settings(slide_allowed_hosts=f"{one.host},{other.host}")
            source = SlideSource(number=1, mirrors=(one.slide_url("a"), other.slide_url("a")))
            transfer = Transfer()
            async with SlideDownloader(settings, max_wait=0.01) as downloader:
                slide = await fetch(downloader, source, transfer)
        assert slide.host == other.host
        assert [(failed.host, failed.kind) for failed in transfer.failed] == [
            (one.host, "truncated"),
            (other.host, "server_error"),
            (one.host, "not_found"),
        ]
        assert [failed.received for failed in transfer.failed] == [3000, 0, 0]
        assert transfer.unaccounted + 3000 == transfer.received == slide.bytes

    asyncio.run(run())


def test_a_slide_without_any_url_needs_its_page(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        async with SlideDownloader(make_settings()) as downloader:
            with pytest.raises(SlideUrlExpiredError, match="no URL"):
                await fetch(downloader, SlideSource(number=1, mirrors=()))

    asyncio.run(run())
