from __future__ import annotations

import asyncio
import hashlib
import itertools
from pathlib import Path

import pytest

from dagster_tiktok.models import SlideSource
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.failures import SlideUrlExpiredError
from dagster_tiktok.slides.stream import Timeouts
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.support import responses
from dagster_tiktok_tests.support.cdn import Cdn
from dagster_tiktok_tests.support.images import jpeg
from dagster_tiktok_tests.support.responses import Respond
from dagster_tiktok_tests.support.scenes import IMAGE, failure, fetch, play


def test_a_slide_is_requested_as_a_browser_does_and_cached(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        slide = await fetch(downloader, cdn.slide(1, "a"))
        assert slide.path.read_bytes() == IMAGE
        assert slide.info.sha256 == hashlib.sha256(IMAGE).hexdigest()
        assert (slide.bytes, slide.resumed, slide.cached) == (len(IMAGE), False, False)
        assert slide.host == cdn.host
        sent = cdn.requests[0].headers
        assert sent["Referer"] == "https://www.tiktok.com/"
        assert "Mozilla" in sent["User-Agent"]

    play(make_settings, scene)


def test_nothing_is_requested_when_the_slide_is_cached(make_settings: MakeSettings) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        await fetch(downloader, cdn.slide(1, "a"))
        again = await fetch(downloader, cdn.slide(1, "a", lives_for=-1))
        assert again.cached
        assert cdn.requested("a") == 1

    play(make_settings, scene)


def test_a_damaged_file_in_the_cache_is_downloaded_again(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        first = await fetch(downloader, cdn.slide(1, "a"))
        first.path.write_bytes(IMAGE[:1000])
        again = await fetch(downloader, cdn.slide(1, "a"))
        assert not again.cached
        assert again.path.read_bytes() == IMAGE

    play(make_settings, scene)


def test_one_slide_fetched_twice_at_once_is_requested_once(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        source = cdn.slide(1, "a")
        slides = await asyncio.gather(*(fetch(downloader, source) for _ in range(4)))
        assert [slide.cached for slide in slides].count(False) == 1
        assert cdn.requested("a") == 1

    play(make_settings, scene)


@pytest.mark.parametrize(
    "fault",
    [
        responses.status(500),
        responses.status(503),
        responses.status(429, Retry_After="0"),
        responses.hang_up,
        responses.cut_off(0),
        responses.cut_off(3000),
        responses.cut_off(3000, validator=None),
        responses.respond(b"<html>busy</html>", content_type="text/html"),
        responses.image(b""),
        responses.image(IMAGE[:5000]),
    ],
)
def test_a_download_succeeds_after_a_transient_fault(
    make_settings: MakeSettings, fault: Respond
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("a", fault, responses.whole_file)
        slide = await fetch(downloader, cdn.slide(1, "a"))
        assert slide.path.read_bytes() == IMAGE
        assert cdn.requested("a") == 2

    play(make_settings, scene)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (responses.status(500), "server_error"),
        (responses.status(429, Retry_After="0"), "rate_limited"),
        (responses.hang_up, "network"),
        (responses.cut_off(0), "truncated"),
        (responses.respond(b"<html>busy</html>", content_type="text/html"), "not_an_image"),
        (responses.image(IMAGE[:5000]), "truncated"),
    ],
)
def test_a_fault_that_stays_ends_with_its_kind_after_all_attempts(
    make_settings: MakeSettings, fault: Respond, kind: str
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("a", fault)
        error = await failure(downloader, cdn.slide(1, "a"))
        assert error.kind == kind
        assert error.transient
        assert cdn.requested("a") == 4

    play(make_settings, scene)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (responses.status(404), "not_found"),
        (responses.status(418), "unexpected_status"),
        (responses.image(b"PK\x03\x04" + bytes(99)), "unsupported_type"),
        (responses.image(IMAGE + b"PK\x03\x04"), "trailing_data"),
        (responses.endless_image, "too_large"),
        (responses.image(bytes(1024 * 1024 + 1)), "too_large"),
        (responses.redirect("http://169.254.169.254/latest/meta-data"), "forbidden_host"),
        (responses.redirect("file:///etc/passwd"), "forbidden_host"),
        (responses.redirect("a"), "unexpected_status"),
    ],
)
def test_a_permanent_fault_is_not_retried_and_leaves_no_file(
    make_settings: MakeSettings, fault: Respond, kind: str, tmp_path: Path
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("a", fault)
        error = await failure(downloader, cdn.slide(1, "a"))
        assert error.kind == kind
        assert not error.transient
        assert cdn.requested("a") <= (6 if kind == "unexpected_status" else 1)
        assert not list((tmp_path / "cache").iterdir())

    play(make_settings, scene, slide_max_mb=1)


def test_a_redirect_to_an_allowed_host_is_followed(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("a", responses.redirect("/b?x=%2B"), responses.whole_file)
        assert (await fetch(downloader, cdn.slide(1, "a"))).path.read_bytes() == IMAGE
        assert cdn.requested("b") == 1

    play(make_settings, scene)


def test_nothing_is_requested_from_a_host_that_is_not_listed(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        assert (await failure(downloader, cdn.slide(1, "a"))).kind == "forbidden_host"
        assert not cdn.requests

    play(make_settings, scene, slide_allowed_hosts="tiktokcdn.com")


def test_the_next_mirror_is_tried_when_one_fails(make_settings: MakeSettings) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("gone", responses.status(404))
        cdn.on("down", responses.status(502))
        slide = await fetch(downloader, cdn.slide(1, "gone", "down", "b"))
        assert slide.url == cdn.slide_url("b")
        assert cdn.paths == ["/gone", "/down", "/b"]

    play(make_settings, scene)


def test_only_a_mirror_with_a_transient_fault_is_retried(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("gone", responses.status(404))
        cdn.on("down", responses.status(502))
        assert (await failure(downloader, cdn.slide(1, "gone", "down"))).kind == "server_error"
        assert (cdn.requested("gone"), cdn.requested("down")) == (1, 4)

    play(make_settings, scene)


def test_an_expired_url_is_known_without_a_request(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        error = await failure(downloader, cdn.slide(1, "a", lives_for=-5))
        assert isinstance(error, SlideUrlExpiredError)
        assert not cdn.requests

    play(make_settings, scene)


def test_403_from_every_mirror_means_expired_and_is_not_retried(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("a", responses.status(403))
        cdn.on("b", responses.status(403))
        error = await failure(downloader, cdn.slide(1, "a", "b"))
        assert isinstance(error, SlideUrlExpiredError)
        assert (cdn.requested("a"), cdn.requested("b")) == (1, 1)

    play(make_settings, scene)


def test_a_trickling_body_ends_at_the_total_timeout(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        async with Cdn({"a": IMAGE}) as cdn:
            cdn.on("a", responses.dripping(itertools.repeat(b"1"), 0.02))
            settings = make_settings(slide_allowed_hosts=cdn.host)
            timeouts = Timeouts(idle=5, total=0.3)
            async with SlideDownloader(settings, timeouts=timeouts, attempts=1) as downloader:
                assert (await failure(downloader, cdn.slide(1, "a"))).kind == "network"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b'200 OK\r\nETag: "\xff"', "taken"),
        (b"302 Found\r\nLocation: /\xff", "forbidden_host"),
        (b"302 Found\r\nLocation: /a\x01b", "forbidden_host"),
        (b"302 Found\r\nLocation: /a b", "forbidden_host"),
        (b"302 Found\r\nLocation: http://[", "forbidden_host"),
    ],
)
def test_headers_that_are_no_text_affect_only_their_slide(
    make_settings: MakeSettings, head: bytes, outcome: str
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        start = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (head, len(IMAGE))
        cdn.on("a", responses.raw(start + IMAGE))
        if outcome == "taken":
            assert (await fetch(downloader, cdn.slide(1, "a"))).path.read_bytes() == IMAGE
        else:
            assert (await failure(downloader, cdn.slide(1, "a"))).kind == outcome

    play(make_settings, scene)


def test_a_slide_ends_at_its_own_timeout(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        async with Cdn({"a": IMAGE}) as cdn:
            cdn.delay = 5
            settings = make_settings(slide_allowed_hosts=cdn.host)
            timeouts = Timeouts(slide=0.3)
            async with SlideDownloader(settings, timeouts=timeouts) as downloader:
                error = await failure(downloader, cdn.slide(1, "a"))
                assert (error.kind, "within 0 s" in str(error)) == ("network", True)

    asyncio.run(run())


@pytest.mark.parametrize(
    "url", ["http://[", "http://[bad]/x", "https://p16.tiktokcdn.com]/x?x-expires=1"]
)
def test_a_url_with_odd_brackets_fails_only_its_slide(
    make_settings: MakeSettings, url: str
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        error = await failure(downloader, SlideSource(number=1, mirrors=(url,)))
        assert error.kind in ("forbidden_host", "expired")

    play(make_settings, scene)


@pytest.mark.parametrize("path", ["\ud800", "é", "a b", "a\r\nX: y", "\x00"])
def test_nothing_is_requested_for_a_malformed_url(make_settings: MakeSettings, path: str) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        source = SlideSource(number=1, mirrors=(f"http://{cdn.host}/{path}",), image_key="a" * 32)
        assert (await failure(downloader, source)).kind == "forbidden_host"
        assert not cdn.requests

    play(make_settings, scene)


def test_no_more_slides_than_the_limit_are_requested_at_once(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.hold_until, cdn.delay = 3, 0.03
        cdn.files = {str(number): jpeg(number) for number in range(12)}
        sources = [cdn.slide(number + 1, str(number)) for number in range(12)]
        await asyncio.gather(*(fetch(downloader, source) for source in sources))
        assert cdn.most_at_once == 3

    play(make_settings, scene, slide_max_concurrent_downloads=3)


def test_the_cache_stays_within_its_limit(make_settings: MakeSettings, tmp_path: Path) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.files = {str(number): jpeg(number, 500, 500) for number in range(20)}
        assert sum(map(len, cdn.files.values())) > 2 * 1024 * 1024
        most = 0

        async def measured(source: SlideSource) -> None:
            nonlocal most
            await fetch(downloader, source)
            most = max(most, sum(f.stat().st_size for f in (tmp_path / "cache").iterdir()))

        sources = [cdn.slide(number + 1, str(number)) for number in range(20)]
        await asyncio.gather(*(measured(source) for source in sources))
        assert 0 < most <= 1024 * 1024

    play(make_settings, scene, slide_cache_max_mb=1)
