"""The bucket as a resource."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import dagster as dg

from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.mover import FetchPost, SlideMover
from dagster_tiktok.slides.store import SlideStore, open_slide_store
from dagster_tiktok.slides.stream import Cookies


class SlideStoreResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the bucket for a stage, alone or with all that brings slides into it."""

    settings: dg.ResourceDependency[SettingsResource]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SlideStore]:
        async with open_slide_store(self.settings.load()) as store:
            yield store

    @asynccontextmanager
    async def open_mover(
        self,
        *,
        now: Callable[[], datetime],
        refresh: FetchPost | None = None,
        cookies: Cookies | None = None,
    ) -> AsyncIterator[SlideMover]:
        """A mover with all that it needs; see `SlideMover`, and `SlideStream` for `cookies`.

        `now`: the run's `Ledger.now`.

        Raises ConfigurationError where the slide cache can't be used.
        """
        settings = self.settings.load()
        async with (
            SlideDownloader(settings, cookies=cookies, now=now) as downloader,
            open_slide_store(settings, now=now) as store,
        ):
            yield SlideMover(downloader, store, refresh=refresh)
