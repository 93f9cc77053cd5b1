"""6,000 slides of 100 to 430 KB from the sandbox to the bucket: memory, disk, time, and no loss.

The stage `slide_files` in a process of its own, with a cache that is far too small for the slides,
and then a day of `dagster-tiktok run`, from the sheet and back, with the cache's default size. It
takes about eight minutes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import uuid4

from benchmarks.carousels import SLIDES, Carousels, carousels, check_bucket
from benchmarks.ledger import NOW, SOURCE, TODAY
from benchmarks.measure import peak_megabytes
from dagster_tiktok.database.ledger import open_ledger
from dagster_tiktok.models import RowDetails, RowRequest
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.mover import SlideMover
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.stages import open_rows as open  # noqa: A004
from dagster_tiktok.stages.claims import ClaimScope
from dagster_tiktok.stages.scrape import scrape_due
from dagster_tiktok.stages.store_slides import store_due
from dagster_tiktok.tiktok.client import TikTokClient

SERIES = (100, 1_000)
"""Carousels."""
CACHE_MB = 32
MOST_MEGABYTES, MOST_GROWTH = 250, 1.10
_LOOK_EVERY_SECONDS = 0.003
DUE = ClaimScope(TODAY, 1_000_000)


@dataclass(frozen=True)
class Run:
    """`peak` is of the process, `disk` of the cache's folder, both in MB; times are in seconds."""

    posts: int
    seconds: float
    processor: float
    peak: float
    disk: float
    cache_mb: int


def main() -> None:
    with carousels(sum(SERIES)) as servers:
        waiting = iter(servers.ids)
        runs = [_run_of_stage(servers, list(islice(waiting, posts))) for posts in SERIES]
    growth = runs[1].peak / runs[0].peak
    print(f"{f'memory, {SERIES[1]:,} carousels to {SERIES[0]}':<44} ratio {growth:6.3f}")
    with carousels(SERIES[1]) as servers:
        whole = _run_of_day(servers)
    if growth > MOST_GROWTH or max(run.peak for run in (*runs, whole)) > MOST_MEGABYTES:
        raise RuntimeError("a run holds more than it may")
    if any(run.disk > run.cache_mb for run in (*runs, whole)):
        raise RuntimeError("the cache is larger than it may be")


def _run_of_stage(servers: Carousels, ids: list[str]) -> Run:
    settings = servers.settings(
        slide_cache_max_mb=CACHE_MB,
        slide_cache_dir=servers.settings().slide_cache_dir / uuid4().hex,
    )
    asyncio.run(_scrape(settings, ids))
    run = _stage(settings, len(ids))
    _check_and_print("slide_files", run, servers, settings, ids)
    return run


def _run_of_day(servers: Carousels) -> Run:
    """The command that people use. Its process holds all of Dagster as well."""
    settings, peak = servers.settings(), 0.0
    started = time.perf_counter()
    with _watched(settings.slide_cache_dir) as most:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_tiktok.cli.main", "run", "--json"],
            env={**os.environ, **servers.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None:
            with suppress(ProcessLookupError, FileNotFoundError, ValueError):
                peak = max(peak, peak_megabytes(process.pid))
            time.sleep(0.05)
    seconds = time.perf_counter() - started
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the run is not complete: {output[-2000:].decode()}")
    posts = len(servers.ids)
    run = Run(posts, seconds, 0.0, peak, max(most) / 2**20, settings.slide_cache_max_mb)
    _check_and_print("dagster-tiktok run", run, servers, settings, servers.ids)
    return run


def _check_and_print(
    name: str, run: Run, servers: Carousels, settings: Settings, ids: list[str]
) -> None:
    asked = servers.control("requests?summary=1")["counts"]["by_kind"]["slide"]
    servers.control("reset", {})
    megabytes = asyncio.run(check_bucket(settings, servers.truth(ids))) / 1e6
    slides = len(ids) * SLIDES
    if asked != slides:
        raise RuntimeError(f"{asked} requests for {slides} slides")
    name = f"{name}, {run.posts:,} carousels"
    print(
        f"{name:<44} {run.seconds:9.1f} s   {slides:,} slides, {megabytes:,.0f} MB   "
        f"{slides / run.seconds:.1f} slides a second   "
        f"processor {1000 * run.processor / slides:.1f} ms a slide   "
        f"memory at the peak {run.peak:.1f} MB   "
        f"cache at the peak {run.disk:.2f} of {run.cache_mb} MB   all there, hashes equal"
    )


def _stage(settings: Settings, posts: int) -> Run:
    """In a process of its own: the peak of a process never falls again."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_store, args=(settings, theirs))
    with _watched(settings.slide_cache_dir) as most:
        process.start()
        theirs.close()  # so that its end is heard of
        stored, seconds, processor, peak = ours.recv()
        process.join()
    if stored != posts:
        raise RuntimeError(f"{stored} of {posts} posts were stored")
    return Run(posts, seconds, processor, peak, max(most) / 2**20, settings.slide_cache_max_mb)


def _store(settings: Settings, answer: Connection) -> None:
    async def run() -> None:
        async with (
            open_ledger(settings, owner=uuid4()) as ledger,
            SlideDownloader(settings) as downloader,
            open_slide_store(settings) as store,
        ):
            started, processor = time.perf_counter(), time.process_time()
            report = await store_due(
                ledger,
                SlideMover(downloader, store),
                DUE,
                concurrency=3 * settings.slide_max_concurrent_downloads,
                advance=lambda: None,
            )
            seconds = time.perf_counter() - started
            processor = time.process_time() - processor
        answer.send((report.stored, seconds, processor, peak_megabytes()))

    asyncio.run(run())


@contextmanager
def _watched(folder: Path) -> Iterator[list[int]]:
    """The bytes in the folder, the most that was seen; it is read every few milliseconds."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY_SECONDS):
            most[0] = max(most[0], _bytes_in(folder))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def _bytes_in(folder: Path) -> int:
    sizes: dict[int, int] = {}
    with suppress(FileNotFoundError):
        for item in os.scandir(folder):
            with suppress(FileNotFoundError):
                stat = item.stat()
                sizes[stat.st_ino] = stat.st_size  # a file may be renamed between two entries
    return sum(sizes.values())


async def _scrape(settings: Settings, ids: list[str]) -> None:
    async with open_ledger(settings, owner=uuid4()) as ledger, TikTokClient(settings) as client:
        for start in range(0, len(ids), open.CHUNK):
            rows = [_row(tiktok_id) for tiktok_id in ids[start : start + open.CHUNK]]
            await ledger.open_units(rows, source=SOURCE, read_at=NOW)
        report = await scrape_due(ledger, client, DUE, advance=lambda: None)
    if report.scraped != len(ids):
        raise RuntimeError(f"{report.as_line()} of {len(ids)}")


def _row(tiktok_id: str) -> RowRequest:
    url = f"https://www.tiktok.com/@_/video/{tiktok_id}"
    details = RowDetails(va_url=url, va="Ana", creator="Maya", set_id=1, post_type="NEW")
    return RowRequest(source_key=tiktok_id, row_number=1, details=details, tiktok_id=tiktok_id)
