"""TikTok as a resource."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dagster as dg

from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.tiktok.client import TikTokClient


class TikTokResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens a client whose limits hold for the stage that uses it.

    `breaker_pause_seconds` is the wait after five unreadable answers in a row.
    """

    settings: dg.ResourceDependency[SettingsResource]
    breaker_pause_seconds: float = 60.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[TikTokClient]:
        async with TikTokClient(
            self.settings.load(), pause_seconds=self.breaker_pause_seconds
        ) as client:
            yield client
