"""From the CDN to the cache: one slide, streamed, checked, resumed, tried again."""

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
from dagster_tiktok.slides.mirrors import host_of, live_mirrors
from dagster_tiktok.slides.stream import Cookies, SlideStream, Timeouts, Transfer


@dataclass(frozen=True)
class DownloadedSlide:
    """A verified slide in the cache, kept there until `release`.

    `bytes` came over the network for it, lost attempts included; `seconds` is what the attempt
    that succeeded took, waiting for its turn not included.
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
        return host_of(self.url)

    def release(self) -> None:
        """It is in the bucket, or given up: the cache may evict it."""
        self.entry.release()


class SlideDownloader:
    """Downloads slides, at most `SLIDE_MAX_CONCURRENT_DOWNLOADS` at a time.

    Whoever asks for many at once must release what it is done with: where the cache is full of
    slides in use, `fetch` waits for room.

    Arguments:
        now: what `downloaded_at` says, and whether a URL has expired. A run gives the database's
            time, by which `Post.scraped_at` is.
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
        """Raises ConfigurationError where the cache can't be used."""
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
        """The slide, from the cache or from the first mirror that gives a sound picture.

        Arguments:
            key: what names the picture in the cache; see `mirrors.cache_key`.
            transfer: what it costs is added there, also when it fails.
            page_read_at: see `mirrors.live_mirrors`.

        Raises:
            SlideUrlExpiredError: only fresh addresses can help; nothing was asked twice.
            SlideError: why the slide did not arrive, after all retries.
        """
        transfer = transfer or Transfer()
        # Two looks at one post ask for the same slides: the second finds them in the cache.
        async with self._by_key.hold(key):
            entry = self._cache.open(key)
            try:
                if entry.finished or entry.may_be_complete:
                    try:
                        return await self._kept(source, entry)
                    except SlideError:  # damaged on this disk, and removed: downloaded again
                        entry.release()
                        entry = self._cache.open(key)
                mirrors = live_mirrors(source, now=self._now(), page_read_at=page_read_at)
                return await self._in_time(self._from_mirrors(mirrors, entry, transfer), mirrors)
            except BaseException:
                entry.release()
                raise

    async def _kept(self, source: SlideSource, entry: CacheEntry) -> DownloadedSlide:
        info = await self._inspect(entry)
        if not entry.finished:  # a run was broken off between the last byte and this look at it
            entry.finish()
        return DownloadedSlide(
            path=entry.path,
            info=info,
            url=source.mirrors[0] if source.mirrors else "",
            # The file's time is by this machine's clock, which may be ahead.
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
        # Each of its mirrors may trickle for the whole time of a request, in every round.
        try:
            return await asyncio.wait_for(download, self._timeouts.slide)
        except asyncio.TimeoutError:
            host = host_of(mirrors[0]) if mirrors else "any mirror"
            detail = f"no slide from {host} within {self._timeouts.slide:.0f} s"
            raise slide_error("network", detail) from None

    async def _from_mirrors(
        self, mirrors: list[str], entry: CacheEntry, transfer: Transfer
    ) -> DownloadedSlide:
        failures: dict[str, SlideError] = {}
        try:
            async for attempt in async_retrying(self._attempts, self._max_wait):
                with attempt:
                    return await self._round(mirrors, entry, transfer, failures)
        except TransientSlideError:
            # One mirror refused for good, another did not answer: fresh addresses may help both.
            if isinstance(verdict := _verdict(list(failures.values())), SlideUrlExpiredError):
                raise verdict from None
            raise
        raise AssertionError("tenacity ends by returning or raising")

    async def _round(
        self,
        mirrors: list[str],
        entry: CacheEntry,
        transfer: Transfer,
        failures: dict[str, SlideError],
    ) -> DownloadedSlide:
        """Asks each mirror once. One whose answer is final is not asked in another round."""
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
        raise _verdict(list(failures.values()))

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
        """Verifies in a thread; what is not a sound picture is removed from the cache."""
        check = functools.partial(inspect_image, entry.path, max_bytes=self._max_bytes)
        try:
            with self._cache.disk_errors():
                return await asyncio.get_running_loop().run_in_executor(self._threads, check)
        except SlideError:
            entry.discard()
            raise


def _verdict(failures: list[SlideError]) -> SlideError:
    """What no mirror giving the slide means: an expired one is worth a fresh page."""
    for failure in failures:
        if isinstance(failure, SlideUrlExpiredError):
            return failure
    return failures[0]
