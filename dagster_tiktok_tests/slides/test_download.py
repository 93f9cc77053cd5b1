from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dagster_tiktok.models import SlideSource
from dagster_tiktok.slides.download import DownloadedSlide, SlideDownloader
from dagster_tiktok.slides.failures import AddressExpired, SlideError
from dagster_tiktok.slides.mirrors import cache_key
from dagster_tiktok.slides.stream import Timeouts
from dagster_tiktok_tests.slides import cdn as answers
from dagster_tiktok_tests.slides.cdn import Answer, Cdn
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.slides.pictures import jpeg

PICTURE = jpeg()
BIG = jpeg(width=900, height=900)

Scene = Callable[[Cdn, SlideDownloader], Awaitable[None]]


def play(make_settings: MakeSettings, scene: Scene, **overrides: object) -> None:
    async def run() -> None:
        async with Cdn({"a": PICTURE, "b": PICTURE, "big": BIG}) as cdn:
            settings = make_settings(**{"slide_allowed_hosts": cdn.host, **overrides})
            async with SlideDownloader(settings, max_wait=0.05) as downloader:
                await scene(cdn, downloader)

    asyncio.run(run())


async def fetch(downloader: SlideDownloader, source: SlideSource) -> DownloadedSlide:
    slide = await downloader.fetch(source, cache_key("1", source))
    slide.release()
    return slide


async def failure(downloader: SlideDownloader, source: SlideSource) -> SlideError:
    with pytest.raises(SlideError) as caught:
        await fetch(downloader, source)
    return caught.value


def test_given_a_slide_then_it_is_fetched_as_a_browser_would_and_lies_in_the_cache(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        slide = await fetch(downloader, cdn.slide(1, "a"))
        assert slide.path.read_bytes() == PICTURE
        assert slide.info.sha256 == hashlib.sha256(PICTURE).hexdigest()
        assert (slide.bytes, slide.resumed, slide.cached) == (len(PICTURE), False, False)
        assert slide.host == cdn.host
        sent = cdn.requests[0].headers
        assert sent["Referer"] == "https://www.tiktok.com/"
        assert "Mozilla" in sent["User-Agent"]

    play(make_settings, scene)


def test_given_a_slide_in_the_cache_then_nothing_is_requested(make_settings: MakeSettings) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        await fetch(downloader, cdn.slide(1, "a"))
        again = await fetch(downloader, cdn.slide(1, "a", lives_for=-1))
        assert again.cached
        assert cdn.asked("a") == 1

    play(make_settings, scene)


def test_given_a_damaged_file_in_the_cache_then_it_is_downloaded_again(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        first = await fetch(downloader, cdn.slide(1, "a"))
        first.path.write_bytes(PICTURE[:1000])
        again = await fetch(downloader, cdn.slide(1, "a"))
        assert not again.cached
        assert again.path.read_bytes() == PICTURE

    play(make_settings, scene)


def test_given_one_slide_asked_for_twice_at_once_then_it_is_requested_once(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        source = cdn.slide(1, "a")
        slides = await asyncio.gather(*(fetch(downloader, source) for _ in range(4)))
        assert [slide.cached for slide in slides].count(False) == 1
        assert cdn.asked("a") == 1

    play(make_settings, scene)


@pytest.mark.parametrize(
    "fault",
    [
        answers.status(500),
        answers.status(503),
        answers.status(429, Retry_After="0"),
        answers.hung_up,
        answers.cut_off(0),
        answers.cut_off(3000),
        answers.cut_off(3000, etag=False),
        answers.body_of(b"<html>busy</html>", "text/html"),
        answers.body_of(b""),
        answers.body_of(PICTURE[:5000]),
    ],
)
def test_given_a_passing_fault_then_it_is_tried_again_and_succeeds(
    make_settings: MakeSettings, fault: Answer
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.faults["a"] = [fault]
        slide = await fetch(downloader, cdn.slide(1, "a"))
        assert slide.path.read_bytes() == PICTURE
        assert cdn.asked("a") == 2

    play(make_settings, scene)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (answers.status(500), "server_error"),
        (answers.status(429, Retry_After="0"), "rate_limited"),
        (answers.hung_up, "network"),
        (answers.cut_off(0), "truncated"),
        (answers.body_of(b"<html>busy</html>", "text/html"), "not_an_image"),
        (answers.body_of(PICTURE[:5000]), "truncated"),
    ],
)
def test_given_a_lasting_fault_then_it_ends_with_its_kind_after_all_attempts(
    make_settings: MakeSettings, fault: Answer, kind: str
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.always["a"] = fault
        error = await failure(downloader, cdn.slide(1, "a"))
        assert error.kind == kind
        assert error.transient
        # Where a server hangs up without a word, aiohttp itself asks once more.
        assert cdn.asked("a") == (8 if fault is answers.hung_up else 4)

    play(make_settings, scene)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (answers.status(404), "not_found"),
        (answers.status(418), "unexpected_status"),
        (answers.body_of(b"PK\x03\x04" + bytes(99)), "unsupported_type"),
        (answers.body_of(PICTURE + b"PK\x03\x04"), "trailing_data"),
        (answers.endless, "too_large"),
        (answers.body_of(bytes(1024 * 1024 + 1)), "too_large"),
        (answers.redirect("http://169.254.169.254/latest/meta-data"), "forbidden_host"),
        (answers.redirect("file:///etc/passwd"), "forbidden_host"),
        (answers.redirect("a"), "unexpected_status"),
    ],
)
def test_given_a_final_answer_then_it_is_not_asked_again_and_nothing_stays(
    make_settings: MakeSettings, fault: Answer, kind: str, tmp_path: Path
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.always["a"] = fault
        error = await failure(downloader, cdn.slide(1, "a"))
        assert error.kind == kind
        assert not error.transient
        assert cdn.asked("a") <= (6 if kind == "unexpected_status" else 1)
        assert not list((tmp_path / "cache").iterdir())

    play(make_settings, scene, slide_max_mb=1)


def test_given_a_redirect_to_an_allowed_host_then_it_is_followed(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.faults["a"] = [answers.redirect("/b?x=%2B")]
        assert (await fetch(downloader, cdn.slide(1, "a"))).path.read_bytes() == PICTURE
        assert cdn.asked("b") == 1

    play(make_settings, scene)


def test_given_a_host_that_is_not_listed_then_nothing_is_requested(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        assert (await failure(downloader, cdn.slide(1, "a"))).kind == "forbidden_host"
        assert not cdn.requests

    play(make_settings, scene, slide_allowed_hosts="tiktokcdn.com")


def test_given_a_mirror_that_fails_then_the_next_one_is_asked(make_settings: MakeSettings) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.always["gone"] = answers.status(404)
        cdn.always["down"] = answers.status(502)
        slide = await fetch(downloader, cdn.slide(1, "gone", "down", "b"))
        assert slide.url == cdn.address("b")
        assert [seen.path for seen in cdn.requests] == ["gone", "down", "b"]

    play(make_settings, scene)


def test_given_mirrors_that_are_gone_and_down_then_only_the_one_that_may_come_back_is_asked_again(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.always["gone"] = answers.status(404)
        cdn.always["down"] = answers.status(502)
        assert (await failure(downloader, cdn.slide(1, "gone", "down"))).kind == "server_error"
        assert (cdn.asked("gone"), cdn.asked("down")) == (1, 4)

    play(make_settings, scene)


def test_given_an_expired_address_then_it_is_known_without_a_request(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        error = await failure(downloader, cdn.slide(1, "a", lives_for=-5))
        assert isinstance(error, AddressExpired)
        assert not cdn.requests

    play(make_settings, scene)


def test_given_403_from_every_mirror_then_the_address_expired_and_none_is_asked_twice(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.always["a"] = cdn.always["b"] = answers.status(403)
        error = await failure(downloader, cdn.slide(1, "a", "b"))
        assert isinstance(error, AddressExpired)
        assert (cdn.asked("a"), cdn.asked("b")) == (1, 1)

    play(make_settings, scene)


def test_given_a_body_that_breaks_off_then_only_the_rest_is_requested(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.faults["big"] = [answers.cut_off(100_000)]
        slide = await fetch(downloader, cdn.slide(1, "big"))
        assert slide.resumed
        assert slide.bytes == len(BIG)
        assert slide.path.read_bytes() == BIG
        assert cdn.requests[1].headers["If-Range"] == answers.etag_of(BIG)

    play(make_settings, scene)


def test_given_a_server_that_falls_silent_then_the_rest_is_requested_after_a_while(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        async with Cdn({"big": BIG}) as cdn:
            cdn.faults["big"] = [answers.stalled(100_000)]
            settings = make_settings(slide_allowed_hosts=cdn.host)
            timeouts = Timeouts(idle=0.4)
            async with SlideDownloader(settings, timeouts=timeouts, max_wait=0.05) as downloader:
                slide = await fetch(downloader, cdn.slide(1, "big"))
            assert slide.resumed
            assert slide.path.read_bytes() == BIG

    asyncio.run(run())


def test_given_a_file_that_changed_meanwhile_then_it_starts_afresh(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        async def cut_and_change(request: object, body: bytes) -> object:
            answer = await answers.cut_off(100_000)(request, body)  # type: ignore[arg-type]
            cdn.files["big"] = PICTURE
            return answer

        cdn.faults["big"] = [cut_and_change]  # type: ignore[list-item]
        slide = await fetch(downloader, cdn.slide(1, "big"))
        assert not slide.resumed
        assert slide.path.read_bytes() == PICTURE

    play(make_settings, scene)


def test_given_a_run_that_was_broken_off_then_the_next_one_resumes_its_part_file(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        async with Cdn({"big": BIG}) as cdn:
            cdn.faults["big"] = [answers.stalled(150_000)]
            settings = make_settings(slide_allowed_hosts=cdn.host)
            source = cdn.slide(1, "big")
            async with SlideDownloader(settings) as downloader:
                broken_off = asyncio.ensure_future(fetch(downloader, source))
                part = settings.slide_cache_dir / f"{source.image_key}.part"
                while not ((part.exists() and part.stat().st_size >= 150_000) or broken_off.done()):
                    await asyncio.sleep(0.005)
                broken_off.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await broken_off
            async with SlideDownloader(settings) as downloader:
                slide = await fetch(downloader, source)
            assert slide.resumed
            assert slide.bytes == len(BIG) - 150_000
            assert slide.path.read_bytes() == BIG

    asyncio.run(run())


def test_given_many_slides_then_no_more_than_the_limit_are_requested_at_once(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.delay = 0.03
        cdn.files = {str(number): jpeg(number) for number in range(12)}
        sources = [cdn.slide(number + 1, str(number)) for number in range(12)]
        await asyncio.gather(*(fetch(downloader, source) for source in sources))
        assert cdn.most_at_once == 3

    play(make_settings, scene, slide_max_concurrent_downloads=3)


def test_given_more_slides_than_the_cache_holds_then_the_disk_stays_within_its_limit(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
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
