"""A downloader and a CDN for one scene of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dagster_tiktok.models import SlideSource
from dagster_tiktok.slides.download import DownloadedSlide, SlideDownloader
from dagster_tiktok.slides.failures import SlideError
from dagster_tiktok.slides.mirrors import cache_key
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.support.cdn import Cdn
from dagster_tiktok_tests.support.images import jpeg

IMAGE = jpeg()
BIG = jpeg(width=900, height=900)

Scene = Callable[[Cdn, SlideDownloader], Awaitable[None]]


def play(make_settings: MakeSettings, scene: Scene, **overrides: object) -> None:
    async def run() -> None:
        async with Cdn({"a": IMAGE, "b": IMAGE, "big": BIG}) as cdn:
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
