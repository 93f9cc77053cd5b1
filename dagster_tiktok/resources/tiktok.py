"""TikTok as a resource."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import dagster as dg

from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.tiktok.client import TikTokClient


class TikTokResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens a client whose limits hold for the stage that uses it.

    `breaker_pause_seconds` is the pause after five rejections in a row, `pass_pause_seconds` the
    shortest time from a failure to the next attempt on that post in the same run.
    """

    settings: dg.ResourceDependency[SettingsResource]
    breaker_pause_seconds: float = 60.0
    pass_pause_seconds: float = 30.0

    @asynccontextmanager
    async def open(self, *, now: Callable[[], datetime]) -> AsyncIterator[TikTokClient]:
        """`now`: the run's `Ledger.now`."""
        settings = self.settings.load()
        async with TikTokClient(
            settings,
            pause_seconds=self.breaker_pause_seconds,
            keep_unreadable_in=settings.unreadable_pages_dir,
            now=now,
        ) as client:
            yield client
