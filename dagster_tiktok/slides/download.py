"""Downloads one slide from the CDN to the cache: streams, verifies, resumes and retries."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from dagster_tiktok.clock import utc_now
from dagster_tiktok.models import SlideSource
from dagster_tiktok.net.retry import async_retrying
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.cache.cache import SlideCache
from dagster_tiktok.slides.cache.entry import CacheEntry
from dagster_tiktok.slides.failures import (
    SlideError,
    SlideUrlExpiredError,
    TransientSlideError,
    slide_error,
)
from dagster_tiktok.slides.images.verify import ImageInfo, inspect_image
from dagster_tiktok.slides.keyed_lock import KeyedLock
from dagster_tiktok.slides.mirrors import live_mirrors, url_host
from dagster_tiktok.slides.stream import Cookies, SlideStream, Timeouts, Transfer


@dataclass(frozen=True)
class DownloadedSlide:
    """A verified slide, kept in the cache until `release`.

    `bytes` came over the network, failed attempts included. `seconds` is the duration of the
    successful attempt, without the wait for the rate limit.
    """

    path: Path
    info: ImageInfo
    url: str
    downloaded_at: datetime
    seconds: float
    bytes: int
    resumed: bool
    cached: bool
    entry: CacheEntry

    @property
    def host(self) -> str:
        return url_host(self.url)

    def release(self) -> None:
        """Lets the cache evict it: it is in the bucket, or was given up."""
        self.entry.release()


class SlideDownloader:
    """Downloads slides, at most `SLIDE_MAX_CONCURRENT_DOWNLOADS` at a time.

    Release each slide as soon as possible: while the cache is full of slides in use, `fetch` waits
    for space.

    Arguments:
        now: the clock for `downloaded_at` and the expiry of URLs. A run passes the database's,
            which `Post.scraped_at` follows too.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        cookies: Cookies | None = None,
        timeouts: Timeouts | None = None,
        attempts: int = 4,
        max_wait: float = 20.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.concurrency = settings.slide_max_concurrent_downloads
        self._settings = settings
        self._cookies = cookies
        self._now = now
        self._timeouts = timeouts or Timeouts()
        self._attempts = attempts
        self._max_wait = max_wait
        self._max_bytes = settings.slide_max_mb * 1024 * 1024
        self._slots = asyncio.Semaphore(self.concurrency)
        self._by_key = KeyedLock()
        self._cache = SlideCache(
            settings.slide_cache_dir,
            max_mb=settings.slide_cache_max_mb,
            min_free_mb=settings.slide_min_free_mb,
        )

    async def __aenter__(self) -> SlideDownloader:
        """Raises ConfigurationError if the cache can't be used."""
        self._cache.prepare()
        self._threads = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "verify-slide")
        self._stream = SlideStream(self._settings, self._cache, self._timeouts, self._cookies)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stream.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def fetch(
        self,
        source: SlideSource,
        key: str,
        transfer: Transfer | None = None,
        *,
        page_read_at: datetime | None = None,
    ) -> DownloadedSlide:
        """Returns the slide from the cache, or from the first mirror with an intact image.

        Arguments:
            key: the image's name in the cache; see `mirrors.cache_key`.
            transfer: counts bytes and failed requests, even when the fetch fails.
            page_read_at: see `mirrors.live_mirrors`.

        Raises:
            SlideUrlExpiredError: only fresh URLs can help; there was no retry.
            SlideError: the slide could not be downloaded, after all retries.
        """
        transfer = transfer or Transfer()
        # Two scrapes of one post need the same slides: the second finds them in the cache.
        async with self._by_key.hold(key):
            entry = self._cache.open(key)
            try:
                if entry.finished or entry.may_be_complete:
                    try:
                        return await self._kept(source, entry)
                    except SlideError:  # corrupt on this disk and removed: downloaded again
                        entry.release()
                        entry = self._cache.open(key)
                mirrors = live_mirrors(source, now=self._now(), page_read_at=page_read_at)
                return await self._in_time(self._from_mirrors(mirrors, entry, transfer), mirrors)
            except BaseException:
                entry.release()
                raise

    async def _kept(self, source: SlideSource, entry: CacheEntry) -> DownloadedSlide:
        info = await self._inspect(entry)
        if not entry.finished:  # a run was interrupted between the last byte and the verification
            entry.finish()
        return DownloadedSlide(
            path=entry.path,
            info=info,
            url=source.mirrors[0] if source.mirrors else "",
            # The file's mtime follows this machine's clock, which may be ahead.
            downloaded_at=min(datetime.fromtimestamp(entry.modified, timezone.utc), self._now()),
            seconds=0.0,
            bytes=0,
            resumed=False,
            cached=True,
            entry=entry,
        )

    async def _in_time(
        self, download: Coroutine[None, None, DownloadedSlide], mirrors: Sequence[str]
    ) -> DownloadedSlide:
        # Each mirror may trickle until the request times out, in every attempt.
        try:
            return await asyncio.wait_for(download, self._timeouts.slide)
        except asyncio.TimeoutError:
            host = url_host(mirrors[0]) if mirrors else "any mirror"
            detail = f"no slide from {host} within {self._timeouts.slide:.0f} s"
            raise slide_error("network", detail) from None

    async def _from_mirrors(
        self, mirrors: list[str], entry: CacheEntry, transfer: Transfer
    ) -> DownloadedSlide:
        failures: dict[str, SlideError] = {}
        try:
            async for attempt in async_retrying(self._attempts, self._max_wait):
                with attempt:
                    return await self._try_mirrors(mirrors, entry, transfer, failures)
        except TransientSlideError:
            # One mirror says expired, another did not respond: fresh URLs may help with both.
            if isinstance(worst := _main_failure(list(failures.values())), SlideUrlExpiredError):
                raise worst from None
            raise
        raise AssertionError("tenacity ends by returning or raising")

    async def _try_mirrors(
        self,
        mirrors: list[str],
        entry: CacheEntry,
        transfer: Transfer,
        failures: dict[str, SlideError],
    ) -> DownloadedSlide:
        """Tries each mirror once. One that fails permanently is not tried again."""
        transient: SlideError | None = None
        for mirror in list(mirrors):
            try:
                return await self._from_mirror(mirror, entry, transfer)
            except SlideError as error:
                failures[mirror] = error
                transfer.count_failed(mirror, error)
                if error.kind == "disk_full":
                    raise
                if error.transient:
                    transient = transient or error
                else:
                    mirrors.remove(mirror)
        if transient:
            raise transient
        raise _main_failure(list(failures.values()))

    async def _from_mirror(
        self, mirror: str, entry: CacheEntry, transfer: Transfer
    ) -> DownloadedSlide:
        try:
            async with self._slots:
                await self._stream.turn()
                started = time.monotonic()
                await self._stream.receive(mirror, entry, transfer)
            info = await self._inspect(entry)
            entry.finish()
        finally:
            if not entry.finished:
                self._cache.shrink(entry)
        return DownloadedSlide(
            path=entry.path,
            info=info,
            url=mirror,
            downloaded_at=self._now(),
            seconds=time.monotonic() - started,
            bytes=transfer.received,
            resumed=transfer.resumed,
            cached=False,
            entry=entry,
        )

    async def _inspect(self, entry: CacheEntry) -> ImageInfo:
        """Verifies in a thread. Removes the file from the cache if it is not an intact image."""
        check = functools.partial(inspect_image, entry.path, max_bytes=self._max_bytes)
        try:
            with self._cache.disk_errors():
                return await asyncio.get_running_loop().run_in_executor(self._threads, check)
        except SlideError:
            entry.discard()
            raise


def _main_failure(failures: list[SlideError]) -> SlideError:
    """An expired URL comes first, because a fresh page can help; else the first failure."""
    for failure in failures:
        if isinstance(failure, SlideUrlExpiredError):
            return failure
    return failures[0]
