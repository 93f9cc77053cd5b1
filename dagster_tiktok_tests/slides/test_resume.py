from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from contextlib import suppress

import pytest
from aiohttp import web

from dagster_tiktok.models import SlideSource
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.failures import SlideError
from dagster_tiktok.slides.mirrors import cache_key
from dagster_tiktok.slides.stream import Timeouts
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.support import responses
from dagster_tiktok_tests.support.cdn import Cdn
from dagster_tiktok_tests.support.responses import Respond
from dagster_tiktok_tests.support.scenes import BIG, IMAGE, fetch, play


def test_only_the_rest_of_an_interrupted_body_is_requested(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("big", responses.cut_off(100_000), responses.whole_file)
        slide = await fetch(downloader, cdn.slide(1, "big"))
        assert slide.resumed
        assert slide.bytes == len(BIG)
        assert slide.path.read_bytes() == BIG
        assert cdn.requests[1].headers["If-Range"] == responses.etag(BIG)

    play(make_settings, scene)


def test_the_rest_is_requested_when_a_server_falls_silent(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        async with Cdn({"big": BIG}) as cdn:
            settings = make_settings(slide_allowed_hosts=cdn.host)
            # On a busy machine a silence so short may not be the server's: then a longer one is.
            for number, idle in enumerate((0.4, 5, 60), 1):
                cdn.files[f"{number}"] = BIG
                cdn.on(f"{number}", responses.stalled(100_000), responses.whole_file)
                timeouts = Timeouts(idle=idle)
                async with SlideDownloader(
                    settings, timeouts=timeouts, attempts=2, max_wait=0.05
                ) as downloader:
                    with suppress(SlideError):
                        slide = await fetch(downloader, cdn.slide(number, f"{number}"))
                        assert slide.path.read_bytes() == BIG
                        if slide.resumed:
                            return
            raise AssertionError("never resumed")

    asyncio.run(run())


def test_a_download_starts_again_when_the_file_has_changed(
    make_settings: MakeSettings,
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        async def cut_and_change(request: web.Request) -> web.StreamResponse:
            response = await responses.cut_off(100_000)(request)
            cdn.files["big"] = IMAGE
            return response

        cdn.on("big", cut_and_change, responses.whole_file)
        slide = await fetch(downloader, cdn.slide(1, "big"))
        assert not slide.resumed
        assert slide.path.read_bytes() == IMAGE

    play(make_settings, scene)


def test_the_next_run_resumes_the_part_file_of_an_interrupted_one(
    make_settings: MakeSettings,
) -> None:
    async def run() -> None:
        async with Cdn({"big": BIG}) as cdn:
            cdn.on("big", responses.stalled(150_000), responses.whole_file)
            settings = make_settings(slide_allowed_hosts=cdn.host)
            source = cdn.slide(1, "big")
            async with SlideDownloader(settings) as downloader:
                broken_off = asyncio.ensure_future(fetch(downloader, source))
                part = settings.slide_cache_dir / f"{file_key(source)}.part"
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


@pytest.mark.parametrize(
    ("data", "etag", "kept", "lives_for", "requests"),
    [
        (BIG, '"v1"', "kept", 99.0, 0),
        (BIG, None, "kept", -99.0, 0),
        (BIG, '"v1"', "", -99.0, 0),
        (BIG[:200_000], '"v1"', "", 99.0, 1),
        (bytes(len(BIG)), '"v1"', "kept", 99.0, 1),
    ],
)
def test_the_part_file_of_a_process_killed_after_the_last_byte_is_checked_first(
    make_settings: MakeSettings,
    data: bytes,
    etag: str | None,
    kept: str,
    lives_for: float,
    requests: int,
) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from dagster_tiktok.slides.cache.cache import SlideCache\n"
        "folder, key, file, etag, kept = sys.argv[1:]\n"
        "data = pathlib.Path(file).read_bytes()\n"
        "entry = SlideCache(pathlib.Path(folder), max_mb=9, min_free_mb=0).open(key)\n"
        "entry.restart(etag or None, len(data))\n"
        "entry.write(data)\n"
        "if kept: entry.keep_origin()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )

    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        source = cdn.slide(1, "big", lives_for=lives_for)
        folder = make_settings().slide_cache_dir
        file = folder.with_name("data")
        file.write_bytes(data)
        arguments = [str(folder), file_key(source), str(file), etag or "", kept]
        command = [sys.executable, "-c", script, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            process.kill()
        slide = await fetch(downloader, source)
        assert slide.path.read_bytes() == BIG
        assert (slide.cached, cdn.requested("big")) == (not requests, requests)
        assert [path.name for path in folder.iterdir()] == [f"{file_key(source)}.slide"]

    play(make_settings, scene)


def file_key(source: SlideSource) -> str:
    return hashlib.sha256(cache_key("1", source).encode()).hexdigest()


def range_response(start: int, end: int, total: int) -> Respond:
    return response_for_range(f"bytes {start}-{end - 1}/{total}", start, end)


def response_for_range(said: str, start: int = 100_000, end: int | None = None) -> Respond:
    return responses.respond(
        BIG[start:end],
        status=206,
        content_type="image/jpeg",
        headers={"Content-Range": said},
    )


@pytest.mark.parametrize(
    ("answer", "third_asks_from"),
    [
        (range_response(100_000, 200_000, len(BIG)), 200_000),
        (range_response(0, len(BIG), len(BIG)), 0),
        (range_response(100_000, len(BIG), len(BIG) + 1), 0),
        (response_for_range(f"bytes 100000-{'9' * 5000}/{len(BIG)}"), 0),
        (response_for_range(f"bytes \u0661-{len(BIG) - 1}/{len(BIG)}"), 0),
        (responses.status(206), 0),
        (responses.status(416), 0),
    ],
)
def test_only_right_bytes_are_kept_when_a_server_sends_another_range(
    make_settings: MakeSettings, answer: Respond, third_asks_from: int
) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        cdn.on("big", responses.cut_off(100_000), answer, responses.whole_file)
        assert (await fetch(downloader, cdn.slide(1, "big"))).path.read_bytes() == BIG
        asked = [seen.headers.get("Range", "bytes=0-") for seen in cdn.requests]
        assert asked == ["bytes=0-", "bytes=100000-", f"bytes={third_asks_from}-"]

    play(make_settings, scene)


def test_a_download_starts_again_when_the_validator_is_weak(make_settings: MakeSettings) -> None:
    async def scene(cdn: Cdn, downloader: SlideDownloader) -> None:
        weak = responses.cut_off(100_000, validator='W/"1"')
        cdn.on("big", weak, responses.whole_file)
        slide = await fetch(downloader, cdn.slide(1, "big"))
        assert not slide.resumed
        assert slide.path.read_bytes() == BIG
        assert "Range" not in cdn.requests[1].headers

    play(make_settings, scene)
