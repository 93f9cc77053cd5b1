"""Moves a post's slides from the CDN to the bucket: each exactly once, each failing alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from dagster_tiktok.models import Post, SlideSource, StoredSlide
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.breaker import CdnBreaker
from dagster_tiktok.slides.download import DownloadedSlide, SlideDownloader
from dagster_tiktok.slides.failures import (
    FailureKind,
    SlideError,
    SlideUrlExpiredError,
    slide_error,
)
from dagster_tiktok.slides.mirrors import cache_key
from dagster_tiktok.slides.stats import MoveStats
from dagster_tiktok.slides.store import SlideStore, StoredObject
from dagster_tiktok.slides.stream import Cookies, Transfer
from dagster_tiktok.tasks import run_together
from dagster_tiktok.tiktok.failures import PostError

__all__ = [
    "FetchPost",
    "MoveResult",
    "MoveStats",
    "OnSlide",
    "SlideFailure",
    "SlideMover",
    "open_slide_mover",
    "slides_wanted",
]

FetchPost = Callable[[str], Awaitable[Post]]
"""Fetches the page of a `tiktok_id` again. A PostError fails the slides that need it; any other
exception ends the stage."""


@dataclass(frozen=True)
class SlideFailure:
    """A slide that is missing. `message` says which and why."""

    number: int
    kind: FailureKind
    message: str


@dataclass(frozen=True)
class MoveResult:
    """`slides`: all that are in the bucket now, in order. `refreshed_post`: the post as its page
    shows it now, if the page was fetched again; it replaces the old one."""

    slides: tuple[StoredSlide, ...]
    failures: tuple[SlideFailure, ...]
    refreshed_post: Post | None
    stats: MoveStats

    @property
    def complete(self) -> bool:
        return not self.failures


OnSlide = Callable[[StoredSlide | SlideFailure], None]


def slides_wanted(post: Post, stored: Sequence[StoredSlide]) -> list[SlideSource]:
    """The slides of `post` that are not in the bucket yet.

    A slide is there if its number is, unless both image keys are known and differ.
    """
    there = {slide.slide_number: slide.image_key for slide in stored}

    def is_there(source: SlideSource) -> bool:
        if source.number not in there:
            return False
        known = there[source.number]
        return known is None or source.image_key is None or known == source.image_key

    return [source for source in post.slides if not is_there(source)]


class SlideMover:
    """Moves posts. Downloading and uploading overlap, within a post and between posts.

    Any number of `move` calls may run at once. The downloader's concurrency bounds the slides in
    flight, their memory and their space in the cache.

    Arguments:
        refresh: fetches fresh URLs, at most once per `move`. Without it, an expired URL is a
            failure.
        on_slide: called after each slide, for progress; it may be set later.

    Attributes:
        stats: of all posts so far, including those in progress and those that were interrupted.
        wanted: slides of all posts so far, whatever their result.
    """

    def __init__(
        self,
        downloader: SlideDownloader,
        store: SlideStore,
        *,
        refresh: FetchPost | None = None,
        on_slide: OnSlide | None = None,
    ) -> None:
        self._downloader = downloader
        self._store = store
        self._refresh = refresh
        self.on_slide = on_slide
        self._breaker = CdnBreaker()
        self.stats = MoveStats()
        self.wanted = 0
        # A third downloads, a third waits for its upload or is uploaded, a third is verified.
        self._in_flight = asyncio.Semaphore(3 * downloader.concurrency)

    @property
    def cdn_rejects(self) -> bool:
        """Whether the CDN delivered none of the newest slides: it may reject everything."""
        return self._breaker.has_rejections

    @property
    def stop_reason(self) -> str | None:
        """Why no more slides are requested, once the breaker is open."""
        return self._breaker.reason

    async def move(self, post: Post, stored: Sequence[StoredSlide] = ()) -> MoveResult:
        """Moves the missing slides into the bucket.

        Arguments:
            stored: the slides of the post that are known to be in the bucket.

        Raises:
            ConfigurationError, ServiceUnavailableError: going on with other posts is pointless.
        """
        wanted = slides_wanted(post, stored)
        stats = MoveStats()
        self._add(MoveStats(skipped=len(post.slides) - len(wanted)), stats)
        self.wanted += len(post.slides)
        if wanted:
            await self._store.check()
        urls = _SlideUrls(post, self._refresh)
        outcomes = await run_together([self._try_slide(urls, source, stats) for source in wanted])
        numbers = {source.number for source in post.slides}
        if fresh := urls.refreshed_post:
            # The post may have new slides since it was scraped.
            more = [source for source in fresh.slides if source.number not in numbers]
            numbers |= {source.number for source in more}
            self.wanted += len(more)
            outcomes += await run_together(
                [self._try_slide(urls, source, stats) for source in more]
            )
        slides = {slide.slide_number: slide for slide in stored if slide.slide_number in numbers}
        failures = []
        for outcome in outcomes:
            if isinstance(outcome, SlideFailure):
                slides.pop(outcome.number, None)
                failures.append(outcome)
            else:
                slides[outcome.slide_number] = outcome
        self._add(MoveStats(refreshed_posts=int(urls.refreshed_post is not None)), stats)
        return MoveResult(
            slides=tuple(slides[number] for number in sorted(slides)),
            failures=tuple(failures),
            refreshed_post=urls.refreshed_post,
            stats=stats,
        )

    async def _try_slide(
        self, urls: _SlideUrls, source: SlideSource, post_stats: MoveStats
    ) -> StoredSlide | SlideFailure:
        outcome: StoredSlide | SlideFailure
        stats, request = MoveStats(), 0
        try:
            async with self._in_flight:
                if self._breaker.reason is not None:
                    raise slide_error("not_asked", self._breaker.reason)
                request = self._breaker.start_request()
                outcome = await self._move_slide(urls, source, stats)
        except SlideError as error:
            stats.failed = 1
            stats.by_kind[error.kind] = 1
            outcome = SlideFailure(source.number, error.kind, f"Slide {source.number}: {error}")
            # An old URL says nothing about the CDN, nor does one that could not be refreshed.
            if error.kind != "expired" or urls.refreshed_post is not None:
                self._breaker.record_rejection(urls.tiktok_id, error, request)
        finally:
            self._add(stats, post_stats)
        if self.on_slide:
            self.on_slide(outcome)
        return outcome

    def _add(self, stats: MoveStats, post_stats: MoveStats) -> None:
        post_stats.merge(stats)
        self.stats.merge(stats)

    async def _move_slide(
        self, urls: _SlideUrls, source: SlideSource, stats: MoveStats
    ) -> StoredSlide:
        current, slide = await self._fetch(urls, source, stats)
        try:
            stored = await self._store.put(urls.tiktok_id, current.number, slide)
        finally:
            slide.release()
        if stored.uploaded:
            stats.uploaded = 1
        else:
            stats.already_there = 1
        return _stored_slide(current, slide, stored)

    async def _fetch(
        self, urls: _SlideUrls, source: SlideSource, stats: MoveStats
    ) -> tuple[SlideSource, DownloadedSlide]:
        """Downloads a slide, with fresh URLs if need be, and counts it.

        Returns the source with the URLs that worked, and the slide.
        """
        transfer = Transfer()
        current = source
        try:
            current = urls.current(source)
            try:
                slide = await self._download(urls, current, transfer)
            except SlideUrlExpiredError as expired:
                current = await urls.fresh(current, expired)
                slide = await self._download(urls, current, transfer)
        finally:
            for failed in transfer.failed:
                stats.count_failed_request(failed.host, failed.kind, size=failed.received)
        if slide.cached:
            stats.cached = 1
        else:
            self._breaker.record_response()
            stats.resumed = int(slide.resumed)
            stats.count_download(slide.host, size=transfer.unaccounted, seconds=slide.seconds)
        return current, slide

    async def _download(
        self, urls: _SlideUrls, source: SlideSource, transfer: Transfer
    ) -> DownloadedSlide:
        key = cache_key(urls.tiktok_id, source)
        return await self._downloader.fetch(source, key, transfer, page_read_at=urls.page_read_at)


@dataclass
class _SlideUrls:
    """The URLs of one post's slides, refreshed at most once."""

    post: Post
    refresh: FetchPost | None
    refreshed_post: Post | None = None
    _failure: SlideError | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def tiktok_id(self) -> str:
        return self.post.tiktok_id

    @property
    def page_read_at(self) -> datetime:
        return (self.refreshed_post or self.post).scraped_at

    def current(self, source: SlideSource) -> SlideSource:
        """The slide with its newest known URLs."""
        if self.refreshed_post is None:
            return source
        for slide in self.refreshed_post.slides:
            if slide.number == source.number:
                return slide
        raise slide_error("not_found", "the post's page no longer shows it")

    async def fresh(self, tried: SlideSource, expired: SlideUrlExpiredError) -> SlideSource:
        """The slide with other URLs than those already tried. Raises SlideError if it has none."""
        async with self._lock:
            if self.refreshed_post is None and self._failure is None:
                await self._fetch(expired)
        if self._failure is not None:
            raise self._failure
        current = self.current(tried)
        if not current.mirrors:
            raise slide_error("not_found", "the post's page has no URL for it")
        if current == tried:
            raise expired
        return current

    async def _fetch(self, expired: SlideUrlExpiredError) -> None:
        if self.refresh is None:
            self._failure = expired
            return
        try:
            self.refreshed_post = await self.refresh(self.tiktok_id)
        except PostError as error:
            kind: FailureKind = "page_unavailable" if error.about_post else "page_refused"
            self._failure = slide_error(kind, str(error))


@asynccontextmanager
async def open_slide_mover(
    settings: Settings,
    store: SlideStore,
    *,
    now: Callable[[], datetime],
    refresh: FetchPost | None = None,
    cookies: Cookies | None = None,
) -> AsyncIterator[SlideMover]:
    """A mover with a downloader of its own, closed on exit.

    Arguments:
        now: the run's `Ledger.now`, see `SlideDownloader`.
        refresh: see `SlideMover`.
        cookies: see `SlideStream`.

    Raises:
        ConfigurationError: the slide cache can't be used.
    """
    async with SlideDownloader(settings, cookies=cookies, now=now) as downloader:
        yield SlideMover(downloader, store, refresh=refresh)


def _stored_slide(source: SlideSource, slide: DownloadedSlide, stored: StoredObject) -> StoredSlide:
    return StoredSlide(
        slide_number=source.number,
        slide_url=slide.url,
        storage_path=stored.path,
        public_url=stored.public_url,
        file_size=slide.info.size,
        width=slide.info.width,
        height=slide.info.height,
        mime_type=slide.info.mime_type,
        content_hash=slide.info.sha256,
        image_key=source.image_key,
        downloaded_at=slide.downloaded_at,
        uploaded_at=stored.uploaded_at,
    )
