"""Slides in the bucket: each object once, under a path derived from its content."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import httpx
from storage3.exceptions import StorageApiError
from supabase import AsyncClient

from dagster_tiktok.clock import utc_now
from dagster_tiktok.database.service_states import ProjectUnavailableError, known_state
from dagster_tiktok.database.supabase import open_supabase, parse_error, true_status
from dagster_tiktok.errors import (
    ConfigurationError,
    ServiceUnavailableError,
    UnreachableServiceError,
)
from dagster_tiktok.net.retry import is_transient_status
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.download import DownloadedSlide
from dagster_tiktok.slides.failures import SlideError, slide_error
from dagster_tiktok.slides.images.verify import ImageInfo
from dagster_tiktok.slides.paths import slide_path

_ONE_YEAR = 365 * 24 * 3600
# The content of a path never changes, so clients may cache it. Storage adds `max-age=`.
_CACHE_CONTROL = f"{_ONE_YEAR}, immutable"
_FAILURES_UNTIL_DOWN = 10


@dataclass(frozen=True)
class StoredObject:
    """`uploaded`: it was not in the bucket before."""

    path: str
    public_url: str
    uploaded: bool
    uploaded_at: datetime


class SlideStore:
    """The bucket. Safe to use from many tasks; `concurrency` uploads run at a time."""

    def __init__(
        self,
        supabase: AsyncClient,
        bucket: str,
        *,
        concurrency: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        http = supabase.options.httpx_client
        if http is None:
            raise ValueError("the client is not one of `open_supabase`")
        self._http = http
        self._supabase = supabase
        self._now = now
        self._bucket = bucket
        self._slots = asyncio.Semaphore(concurrency)
        self._checking = asyncio.Lock()
        self._bucket_checked = False
        self._public_checked = False
        self._failures_in_a_row = 0

    async def check(self) -> None:
        """Checks once that the bucket exists and is public; later calls return at once.

        Raises:
            ConfigurationError: a variable is wrong; the message names it.
            ServiceUnavailableError: Supabase does not respond.
        """
        async with self._checking:
            if not self._bucket_checked:
                await self._check_bucket()
                self._bucket_checked = True

    async def put(self, tiktok_id: str, number: int, slide: DownloadedSlide) -> StoredObject:
        """Uploads the slide unless the bucket has it already.

        Raises:
            SlideError: `storage_refused` or `storage_unavailable`.
            ConfigurationError: the bucket, the key or the bucket's access is wrong.
            ServiceUnavailableError: several uploads failed in a row.
        """
        path = slide_path(tiktok_id, number, slide.info)
        public_url = await self._supabase.storage.from_(self._bucket).get_public_url(path)
        async with self._slots:
            # An interrupted run downloaded this slide and most likely uploaded it too.
            there = slide.cached and await self._holds(public_url, slide.info)
            uploaded = not there and await self._upload(path, public_url, slide)
        await self._check_public(public_url, slide.info)
        return StoredObject(path, public_url, uploaded, self._now())

    async def _upload(self, path: str, public_url: str, slide: DownloadedSlide) -> bool:
        """False if the object exists. The server decides that, so two runs can't collide."""
        if await self._send(path, slide, upsert=False):
            return True
        if await self._holds(public_url, slide.info):
            return False
        # The path holds something other than the slide with its hash: signed-in users may upload,
        # and anyone who has the slide can compute the path.
        return await self._send(path, slide, upsert=True)

    async def _send(self, path: str, slide: DownloadedSlide, *, upsert: bool) -> bool:
        try:
            await self._supabase.storage.from_(self._bucket).upload(
                path,
                slide.path,
                {
                    "content-type": slide.info.mime_type,
                    "cache-control": _CACHE_CONTROL,
                    "upsert": "true" if upsert else "false",
                },
            )
        except StorageApiError as error:
            if str(error.status) == "409":
                self._failures_in_a_row = 0
                return False
            raise self._explained(error) from error
        except (UnreachableServiceError, ProjectUnavailableError):
            raise
        except (ServiceUnavailableError, httpx.TransportError, ValueError, KeyError) as error:
            # ValueError and KeyError: a proxy's page instead of Supabase's response.
            raise self._unavailable(f"{error or type(error).__name__}") from error
        self._failures_in_a_row = 0
        return True

    async def _check_bucket(self) -> None:
        # Not `storage.get_bucket`: it fails on timestamps that the local Supabase writes.
        response = await self._http.get(
            f"{self._supabase.storage_url}bucket/{self._bucket}",
            headers=self._supabase.options.headers,
        )
        said = parse_error(response.content)
        if true_status(response.url, response.status_code, said) in (401, 403):
            raise ConfigurationError(_wrong_key(str(said.get("message"))[:200]))
        if response.status_code >= 500:
            raise ServiceUnavailableError(f"Supabase Storage returned {response.status_code}.")
        try:
            public = response.json().get("public")
        except (ValueError, AttributeError):
            raise ConfigurationError(
                "SUPABASE_URL is not the URL of a Supabase project: copy it from Project Settings."
            ) from None
        if response.is_error:
            raise ConfigurationError(self._no_bucket())
        if not public:
            raise ConfigurationError(self._private_bucket())

    async def _check_public(self, public_url: str, info: ImageInfo) -> None:
        """Reads the run's first object back without a key, as a browser would."""
        if self._public_checked:
            return
        async with self._checking:
            if self._public_checked:
                return
            status, sha256 = await self._read_back(public_url, info)
            if status >= 400:
                raise ConfigurationError(
                    f"{self._private_bucket()} {public_url} returned {status}."
                )
            if sha256 != info.sha256:
                raise self._unavailable(f"{public_url} returns other content than was uploaded")
            self._public_checked = True

    async def _holds(self, public_url: str, info: ImageInfo) -> bool:
        """Whether the object exists with exactly the slide's bytes."""
        _, sha256 = await self._read_back(public_url, info)
        return sha256 == info.sha256

    async def _read_back(self, public_url: str, info: ImageInfo) -> tuple[int, str | None]:
        """Status and sha256 of the object; no sha256 if it is larger than the slide.

        Not read into memory: signed-in users may upload 20 MB under the path.
        """
        digest, size = hashlib.sha256(), 0
        try:
            # Bypass caches: only what is in the bucket counts.
            headers = {"cache-control": "no-cache"}
            async with self._http.stream("GET", public_url, headers=headers) as response:
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > info.size:
                        return response.status_code, None
                    digest.update(chunk)
                return response.status_code, digest.hexdigest()
        except (UnreachableServiceError, ProjectUnavailableError):
            raise
        except (ServiceUnavailableError, httpx.TransportError) as error:
            raise self._unavailable(str(error)) from error

    def _explained(self, error: StorageApiError) -> Exception:
        status = int(error.status) if str(error.status).isdigit() else 500
        message = str(error.message)[:200]
        if known := known_state(status, message=message):
            return ProjectUnavailableError(known)
        if status == 404:
            return ConfigurationError(self._no_bucket())
        if status in (401, 403):
            return ConfigurationError(_wrong_key(message))
        if is_transient_status(status):
            return self._unavailable(f"{status}, {message}")
        self._failures_in_a_row = 0
        return slide_error("storage_refused", f"{status}, {message}")

    def _unavailable(self, detail: str) -> SlideError:
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= _FAILURES_UNTIL_DOWN:
            raise ServiceUnavailableError(
                f"{self._failures_in_a_row} uploads to Supabase failed in a row: {detail}"
            )
        return slide_error("storage_unavailable", detail)

    def _no_bucket(self) -> str:
        return (
            f"SUPABASE_BUCKET names a bucket that does not exist ({self._bucket!r}): "
            "apply the migrations in sql/, or correct the name."
        )

    def _private_bucket(self) -> str:
        return (
            f"SUPABASE_BUCKET ({self._bucket!r}) is not public: apply the migrations in sql/, or "
            "make the bucket public."
        )


def _wrong_key(message: str) -> str:
    return f"SUPABASE_KEY may not write to the bucket ({message}): use the secret key."


@asynccontextmanager
async def open_slide_store(
    settings: Settings, *, attempts: int = 4, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[SlideStore]:
    """Opens the bucket of the settings, with its own connections, which close on exit.

    Arguments:
        attempts: per request, the first included.
        now: the clock for `uploaded_at`; of two uploads, the later one counts.
    """
    async with open_supabase(settings, attempts=attempts) as supabase:
        yield SlideStore(
            supabase,
            settings.supabase_bucket,
            concurrency=settings.slide_max_concurrent_downloads,
            now=now,
        )
