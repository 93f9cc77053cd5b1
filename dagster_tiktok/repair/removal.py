"""Removes the pipeline's own objects from the bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from storage3.exceptions import StorageApiError
from supabase import AsyncClient

from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.paths import is_slide_path

REMOVED_AT_ONCE = 100
"""Objects per request; Storage allows 1,000."""


class SlideRemover:
    """Removes slides from the bucket, through the Storage API."""

    def __init__(self, supabase: AsyncClient, bucket: str) -> None:
        self._supabase = supabase
        self._bucket = bucket

    async def remove(self, names: Sequence[str]) -> None:
        """Removes up to REMOVED_AT_ONCE objects; a missing one is not an error.

        Raises:
            ValueError: a name is not a slide's path. Nothing was removed.
            ConfigurationError: the key may not remove objects, or the bucket does not exist.
            ServiceUnavailableError: Storage failed.
        """
        if foreign := [name for name in names if not is_slide_path(name)]:
            raise ValueError(f"not the path of a slide: {foreign[0]!r}")
        try:
            await self._supabase.storage.from_(self._bucket).remove(list(names))
        except StorageApiError as error:
            raise self._explained(error) from error
        except (httpx.TransportError, ValueError) as error:
            # ValueError: a proxy's page instead of Supabase's response.
            raise ServiceUnavailableError(
                f"Supabase Storage did not remove objects: {type(error).__name__}"
            ) from error

    def _explained(self, error: StorageApiError) -> ConfigurationError | ServiceUnavailableError:
        status, message = str(error.status), str(error.message)[:200]
        if status in ("401", "403"):
            return ConfigurationError(
                f"SUPABASE_KEY may not remove objects ({message}): use the secret key."
            )
        if status == "404":
            return ConfigurationError(
                f"SUPABASE_BUCKET names a bucket that does not exist ({self._bucket!r})."
            )
        return ServiceUnavailableError(
            f"Supabase Storage did not remove objects: {status}, {message}"
        )


@asynccontextmanager
async def open_slide_remover(settings: Settings) -> AsyncIterator[SlideRemover]:
    """The bucket of the settings, closed on exit."""
    async with open_supabase(settings) as supabase:
        yield SlideRemover(supabase, settings.supabase_bucket)
