"""What moves slides into the bucket, as a resource."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import dagster as dg

from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.slides.mover import FetchPost, SlideMover, open_slide_mover
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.slides.stream import Cookies


class SlideMoverResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens a mover for a stage: the bucket, and all that brings slides into it."""

    settings: dg.ResourceDependency[SettingsResource]

    @asynccontextmanager
    async def open(
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
            open_slide_store(settings, now=now) as store,
            open_slide_mover(settings, store, now=now, refresh=refresh, cookies=cookies) as mover,
        ):
            yield mover
