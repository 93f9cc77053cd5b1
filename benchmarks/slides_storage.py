"""Downloading and uploading at once, and slides that are all in the bucket already."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from statistics import median
from uuid import uuid4

from benchmarks.ledger import NOW, TODAY, a_post, scrape, tiktok_ids
from benchmarks.measure import RUNS
from dagster_tiktok.database.ledger import Ledger, SlidesResult, open_ledger
from dagster_tiktok.models import Post, SlideSource, StoredSlide
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.download import DownloadedSlide, SlideDownloader
from dagster_tiktok.slides.mover import SlideMover
from dagster_tiktok.slides.store import SlideStore, open_slide_store
from dagster_tiktok.stages.claims import ClaimScope
from dagster_tiktok.stages.store_slides import store_due

SLIDES_OF_A_POST = 6
OVERLAP_POSTS, KNOWN_POSTS = 30, 300
OVERLAP_GOAL, KNOWN_GOAL_MS = 0.80, 1.0

Sources = Callable[[int], list[SlideSource]]


@dataclass(frozen=True)
class Times:
    """In seconds, of the same number of slides."""

    download: float
    upload: float
    both: float

    @property
    def share(self) -> float:
        """Of the throughput of the slower of the two alone."""
        return max(self.download, self.upload) / self.both


def overlap(settings: Settings, sources: Sources) -> None:
    """Prints what moving slides reaches of only downloading or only uploading them."""
    ids = tiktok_ids()
    asyncio.run(_times(settings, sources, ids))  # warm
    runs = [asyncio.run(_times(settings, sources, ids)) for _ in range(RUNS)]
    slides = OVERLAP_POSTS * SLIDES_OF_A_POST
    shares = sorted(run.share for run in runs)
    name = f"to the bucket, {slides} slides"
    print(
        f"{name:<44} {slides / median(run.both for run in runs):6.1f} slides/s   download alone "
        f"{slides / median(run.download for run in runs):.1f}, upload alone "
        f"{slides / median(run.upload for run in runs):.1f}"
    )
    print(
        f"{'  of the slower of the two':<44} ratio {median(shares):6.3f} "
        f"({shares[0]:.3f} to {shares[-1]:.3f})   goal >= {OVERLAP_GOAL}"
    )


async def _times(settings: Settings, sources: Sources, ids: Iterator[str]) -> Times:
    async with _opened(settings) as (downloader, store):
        started = time.perf_counter()
        slides = await _downloaded(downloader, sources(OVERLAP_POSTS * SLIDES_OF_A_POST))
        download = time.perf_counter() - started

        posts = [next(ids) for _ in range(OVERLAP_POSTS)]
        started = time.perf_counter()
        await asyncio.gather(
            *(
                store.put(posts[place // SLIDES_OF_A_POST], place % SLIDES_OF_A_POST + 1, slide)
                for place, slide in enumerate(slides)
            )
        )
        upload = time.perf_counter() - started
        for slide in slides:
            slide.release()

        moved = [_carousel(next(ids), sources(SLIDES_OF_A_POST)) for _ in range(OVERLAP_POSTS)]
        mover, waiting = SlideMover(downloader, store), iter(moved)

        async def worker() -> None:
            for post in waiting:
                if not (await mover.move(post)).complete:
                    raise RuntimeError(f"post {post.tiktok_id} is incomplete")

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(3 * downloader.concurrency)))
        return Times(download, upload, time.perf_counter() - started)


async def _downloaded(
    downloader: SlideDownloader, sources: Sequence[SlideSource]
) -> list[DownloadedSlide]:
    return await asyncio.gather(
        *(downloader.fetch(source, source.image_key or "") for source in sources)
    )


def known(settings: Settings) -> None:
    """Prints what the stage and the mover alone cost for slides that are stored already."""
    slides = KNOWN_POSTS * SLIDES_OF_A_POST
    stage, mover = asyncio.run(_known(settings))
    for name, seconds in (("the stage", stage), ("the mover alone", mover)):
        print(
            f"{f'{slides:,} slides stored already, {name}':<44} "
            f"{1000 * median(seconds) / slides:9.4f} ms a slide   goal < {KNOWN_GOAL_MS}"
        )


async def _known(settings: Settings) -> tuple[list[float], list[float]]:
    """The seconds of each run: of the stage, and of the mover alone."""
    ids, keys = tiktok_ids(), count(1)
    posts = {
        post.tiktok_id: post
        for post in (
            _carousel(
                next(ids),
                [
                    SlideSource(
                        number=1,
                        mirrors=("https://p16.tiktokcdn.com/a",),
                        image_key=f"{next(keys):032x}",
                    )
                    for _ in range(SLIDES_OF_A_POST)
                ],
            )
            for _ in range(KNOWN_POSTS)
        )
    }
    stored = {
        post.tiktok_id: [_stored(post, slide) for slide in post.slides] for post in posts.values()
    }
    async with (
        open_ledger(settings, owner=uuid4()) as ledger,
        _opened(settings) as (downloader, store),
    ):
        await _scrape_unit(ledger, posts, stored)
        stage, alone = [], []
        for _ in range(RUNS):
            await scrape(ledger, posts, read_at=datetime.now(timezone.utc))
            mover = SlideMover(downloader, store)
            started = time.perf_counter()
            report = await store_due(
                ledger,
                mover,
                ClaimScope(TODAY, KNOWN_POSTS),
                concurrency=3 * settings.slide_max_concurrent_downloads,
                advance=lambda: None,
            )
            stage.append(time.perf_counter() - started)
            if (report.stored, report.stats.skipped) != (
                KNOWN_POSTS,
                KNOWN_POSTS * SLIDES_OF_A_POST,
            ):
                raise RuntimeError(f"{report.stored} posts, {report.stats.skipped} slides skipped")
            await _finished(ledger)
            started = time.perf_counter()
            for post in posts.values():
                await mover.move(post, stored[post.tiktok_id])
            alone.append(time.perf_counter() - started)
    return stage, alone


async def _scrape_unit(
    ledger: Ledger, posts: dict[str, Post], stored: dict[str, list[StoredSlide]]
) -> None:
    """A first look at every post, which leaves its slides on record."""
    await scrape(ledger, posts, read_at=datetime.now(timezone.utc))
    due = {"due_date": TODAY, "limit": KNOWN_POSTS}
    units = (await ledger.claim("scraped", **due)).units  # type: ignore[arg-type]
    await ledger.record_slides(
        SlidesResult(unit_id=unit.id, result="stored", slides=tuple(stored[unit.tiktok_id or ""]))
        for unit in units
    )
    await _finished(ledger)


async def _finished(ledger: Ledger) -> None:
    due = {"due_date": TODAY, "limit": KNOWN_POSTS}
    units = (await ledger.claim("stored", **due)).units  # type: ignore[arg-type]
    await ledger.persist([unit.id for unit in units])
    units = (await ledger.claim("persisted", **due)).units  # type: ignore[arg-type]
    await ledger.finish({unit.id: None for unit in units})


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[SlideDownloader, SlideStore]]:
    """With a cache of its own, empty at first."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings.model_copy(update={"slide_cache_dir": Path(folder)})
        async with SlideDownloader(chosen) as downloader, open_slide_store(chosen) as store:
            yield downloader, store


def _carousel(tiktok_id: str, sources: Sequence[SlideSource]) -> Post:
    slides = tuple(
        source.model_copy(update={"number": number}) for number, source in enumerate(sources, 1)
    )
    return a_post(tiktok_id).model_copy(update={"slides": slides})


def _stored(post: Post, slide: SlideSource) -> StoredSlide:
    path = f"{post.tiktok_id}/{slide.number:02d}-{slide.image_key}.jpg"
    return StoredSlide(
        slide_number=slide.number,
        slide_url=slide.mirrors[0],
        storage_path=path,
        public_url=f"https://unused.supabase.co/storage/v1/object/public/tiktok-slides/{path}",
        file_size=250_000,
        width=1080,
        height=1440,
        mime_type="image/jpeg",
        content_hash=f"{int(slide.image_key or '0', 16):064x}",
        image_key=slide.image_key,
        downloaded_at=NOW,
        uploaded_at=NOW,
    )
