"""A post's slides from the CDN to the bucket: each exactly once, each failing alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dagster_tiktok.models import Post, SlideSource, StoredSlide
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
from dagster_tiktok.slides.stream import Transfer
from dagster_tiktok.tasks import run_together
from dagster_tiktok.tiktok.failures import PostError

__all__ = [
    "MoveResult",
    "MoveStats",
    "OnSlide",
    "Refresh",
    "SlideFailure",
    "SlideMover",
    "slides_wanted",
]

Refresh = Callable[[str], Awaitable[Post]]
"""Fetches the page of a `tiktok_id` once more. A PostError fails the slides that needed it; any
other exception ends the stage."""


@dataclass(frozen=True)
class SlideFailure:
    """A slide that is missing. `sentence` says which and why."""

    number: int
    kind: FailureKind
    sentence: str


@dataclass(frozen=True)
class MoveResult:
    """`slides`: all that lie in the bucket now, in order. `refreshed_post`: the page was fetched
    again, and this replaces what was known of the post."""

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

    A slide is there if its number is, unless both pictures are named and the names differ.
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

    Any number of `move` may run at once: the slides in flight, their memory and their room in the
    cache stay bounded by the concurrency of the downloader.

    Arguments:
        refresh: for fresh addresses, at most once for each `move`; without it, an expired
            address is a failure.
        on_slide: called with each slide as it settles, for progress; it may be set later.

    Attributes:
        stats: of all posts so far, those under way and those that were broken off included.
        wanted: slides of all posts so far, whatever became of them.
    """

    def __init__(
        self,
        downloader: SlideDownloader,
        store: SlideStore,
        *,
        refresh: Refresh | None = None,
        on_slide: OnSlide | None = None,
    ) -> None:
        self._downloader = downloader
        self._store = store
        self._refresh = refresh
        self.on_slide = on_slide
        self._breaker = CdnBreaker()
        self.stats = MoveStats()
        self.wanted = 0
        # Some download, as many wait for their upload or are uploaded, and some are verified.
        self._in_flight = asyncio.Semaphore(3 * downloader.concurrency)

    @property
    def cdn_in_doubt(self) -> bool:
        """Whether the newest slides all failed: the CDN may be rejecting everything."""
        return self._breaker.rejections > 0

    @property
    def refusal(self) -> str | None:
        """Why the CDN is asked for nothing more, if it gave nothing slide after slide."""
        return self._breaker.open_reason

    async def move(self, post: Post, stored: Sequence[StoredSlide] = ()) -> MoveResult:
        """Brings what is missing into the bucket.

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
        addresses = _SlideUrls(post, self._refresh)
        outcomes = await run_together([self._settle(addresses, source, stats) for source in wanted])
        numbers = {source.number for source in post.slides}
        if fresh := addresses.refreshed_post:
            # The post may have got slides since it was looked at.
            more = [source for source in fresh.slides if source.number not in numbers]
            numbers |= {source.number for source in more}
            self.wanted += len(more)
            outcomes += await run_together(
                [self._settle(addresses, source, stats) for source in more]
            )
        slides = {slide.slide_number: slide for slide in stored if slide.slide_number in numbers}
        failures = []
        for outcome in outcomes:
            if isinstance(outcome, SlideFailure):
                slides.pop(outcome.number, None)
                failures.append(outcome)
            else:
                slides[outcome.slide_number] = outcome
        self._add(MoveStats(refreshed_posts=int(addresses.refreshed_post is not None)), stats)
        return MoveResult(
            slides=tuple(slides[number] for number in sorted(slides)),
            failures=tuple(failures),
            refreshed_post=addresses.refreshed_post,
            stats=stats,
        )

    async def _settle(
        self, addresses: _SlideUrls, source: SlideSource, post_stats: MoveStats
    ) -> StoredSlide | SlideFailure:
        outcome: StoredSlide | SlideFailure
        stats, start = MoveStats(), 0
        try:
            async with self._in_flight:
                if self._breaker.open_reason:
                    raise slide_error("not_asked", self._breaker.open_reason)
                start = self._breaker.record_start()
                outcome = await self._move_slide(addresses, source, stats)
        except SlideError as error:
            stats.failed = 1
            stats.by_kind[error.kind] = 1
            outcome = SlideFailure(source.number, error.kind, f"Slide {source.number}: {error}")
            # An old address says nothing about the CDN, nor does one that could not be renewed.
            if error.kind != "expired" or addresses.refreshed_post is not None:
                self._breaker.record_rejection(addresses.tiktok_id, error, start)
        finally:
            self._add(stats, post_stats)
        if self.on_slide:
            self.on_slide(outcome)
        return outcome

    def _add(self, stats: MoveStats, post_stats: MoveStats) -> None:
        post_stats.merge(stats)
        self.stats.merge(stats)

    async def _move_slide(
        self, addresses: _SlideUrls, source: SlideSource, stats: MoveStats
    ) -> StoredSlide:
        current, slide = await self._fetch(addresses, source, stats)
        try:
            stored = await self._store.put(addresses.tiktok_id, current.number, slide)
        finally:
            slide.release()
        if stored.uploaded:
            stats.uploaded = 1
        else:
            stats.already_there = 1
        return _record(current, slide, stored)

    async def _fetch(
        self, addresses: _SlideUrls, source: SlideSource, stats: MoveStats
    ) -> tuple[SlideSource, DownloadedSlide]:
        """The slide and the addresses that gave it, counted; from fresh ones if need be."""
        transfer = Transfer()
        current = source
        try:
            current = addresses.current(source)
            try:
                slide = await self._download(addresses, current, transfer)
            except SlideUrlExpiredError as expired:
                current = await addresses.fresh(current, expired)
                slide = await self._download(addresses, current, transfer)
        finally:
            for failed in transfer.failed:
                stats.count_failed_request(failed.host, failed.kind, size=failed.received)
        if slide.cached:
            stats.cached = 1
        else:
            self._breaker.record_success()
            stats.resumed = int(slide.resumed)
            stats.count_download(slide.host, size=transfer.unaccounted, seconds=slide.seconds)
        return current, slide

    async def _download(
        self, addresses: _SlideUrls, source: SlideSource, transfer: Transfer
    ) -> DownloadedSlide:
        key = cache_key(addresses.tiktok_id, source)
        return await self._downloader.fetch(
            source, key, transfer, page_read_at=addresses.page_read_at
        )


@dataclass
class _SlideUrls:
    """The addresses of one post's slides, fetched again at most once."""

    post: Post
    refresh: Refresh | None
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
        """The newest known addresses of that slide."""
        if self.refreshed_post is None:
            return source
        for slide in self.refreshed_post.slides:
            if slide.number == source.number:
                return slide
        raise slide_error("not_found", "the post's page does not show it any more")

    async def fresh(self, tried: SlideSource, expired: SlideUrlExpiredError) -> SlideSource:
        """Other addresses than those that were tried. Raises SlideError where there are none."""
        async with self._lock:
            if self.refreshed_post is None and self._failure is None:
                await self._fetch(expired)
        if self._failure is not None:
            raise self._failure
        current = self.current(tried)
        if not current.mirrors:
            raise slide_error("not_found", "the post's page gives no address for it")
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


def _record(source: SlideSource, slide: DownloadedSlide, stored: StoredObject) -> StoredSlide:
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
