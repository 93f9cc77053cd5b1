"""Slides from a CDN to the bucket: against curl, against a bare loop, and what a known one costs.

The CDN and the local Supabase run in processes of their own. It takes about four minutes.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count, islice
from pathlib import Path
from statistics import median

import aiohttp
from PIL import Image

from benchmarks import slides_storage
from benchmarks.ledger import sandbox
from benchmarks.measure import RUNS, peak_megabytes
from benchmarks.slides_cdn import cdn, source
from dagster_tiktok.models import SlideSource
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.download import SlideDownloader

SHAPED = ((5, 250), (16, 600))
"""Slides at once, and slides of a run."""
PLAIN = (5, 400)
CURL_GOAL, BARE_LOOP_GOAL, CORES_GOAL = 0.90, 0.80, 2.0


@dataclass(frozen=True)
class Run:
    """`processor` in seconds, of the process that downloads alone."""

    slides: int
    bytes: int
    seconds: float
    processor: float

    @property
    def cores(self) -> float:
        return self.processor / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.bytes / self.seconds / 1e6:6.1f} MB/s "
            f"{self.slides / self.seconds:6.1f} slides/s "
            f"{1000 * self.processor / self.slides:5.2f} ms of the processor each"
        )


def main() -> None:
    with sandbox() as supabase, cdn() as url:
        numbers = count(1)
        settings = supabase.model_copy(
            update={"slide_allowed_hosts": (url.removeprefix("http://"),), "slide_min_free_mb": 0}
        )
        for concurrency, slides in SHAPED:
            name = f"shaped CDN, {slides} slides, {concurrency} at once"
            chosen = settings.model_copy(update={"slide_max_concurrent_downloads": concurrency})

            def some(slides: int = slides) -> list[SlideSource]:
                return _sources(url, numbers, slides, shaped=True)

            pairs = _pairs(some, chosen, _curl)
            _print(name, pairs, "curl --parallel", CURL_GOAL)
        concurrency, slides = PLAIN
        chosen = settings.model_copy(update={"slide_max_concurrent_downloads": concurrency})
        pairs = _pairs(lambda: _sources(url, numbers, slides, shaped=False), chosen, _bare_loop)
        _print(
            f"unshaped, {slides} slides, {concurrency} at once", pairs, "bare loop", BARE_LOOP_GOAL
        )
        cores = median(ours.cores for ours, _ in pairs)
        print(
            f"{'  cores in use':<44} {cores:9.2f}   bare loop: "
            f"{median(peer.cores for _, peer in pairs):.2f}   goal <= {CORES_GOAL}"
        )
        print(f"{'  peak of this process, all runs together':<44} {peak_megabytes():9.1f} MB")
        slides_storage.overlap(settings, lambda slides: _sources(url, numbers, slides, shaped=True))
        slides_storage.known(settings)


def _sources(url: str, numbers: Iterator[int], slides: int, *, shaped: bool) -> list[SlideSource]:
    return [source(url, number, shaped=shaped) for number in islice(numbers, slides)]


def _pairs(
    some: Callable[[], list[SlideSource]],
    settings: Settings,
    peer: Callable[[Sequence[SlideSource], Settings], Run],
) -> list[tuple[Run, Run]]:
    """Of new slides for every run; the first of each is not counted."""
    runs = [(_ours(some(), settings), peer(some(), settings)) for _ in range(RUNS + 1)]
    return runs[1:]


def _print(name: str, pairs: Sequence[tuple[Run, Run]], peer: str, goal: float) -> None:
    ratios = sorted((b.seconds / b.bytes) / (a.seconds / a.bytes) for a, b in pairs)
    ours = sorted((a for a, _ in pairs), key=lambda run: run.seconds)[len(pairs) // 2]
    theirs = sorted((b for _, b in pairs), key=lambda run: run.seconds)[len(pairs) // 2]
    print(f"{name:<44} {ours}")
    print(f"{'  ' + peer:<44} {theirs}")
    print(
        f"{'  throughput':<44} ratio {median(ratios):6.3f} "
        f"({ratios[0]:.3f} to {ratios[-1]:.3f})   goal >= {goal}"
    )


def _ours(sources: Sequence[SlideSource], settings: Settings) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings.model_copy(update={"slide_cache_dir": Path(folder)})
        return asyncio.run(_download(sources, chosen))


async def _download(sources: Sequence[SlideSource], settings: Settings) -> Run:
    started, processor = time.perf_counter(), time.process_time()
    waiting, received = iter(sources), 0

    async def worker(downloader: SlideDownloader) -> None:
        nonlocal received
        for slide_source in waiting:
            slide = await downloader.fetch(slide_source, slide_source.image_key or "")
            received += slide.bytes
            slide.release()

    async with SlideDownloader(settings) as downloader:
        # As many in flight as SlideMover has.
        workers = 3 * settings.slide_max_concurrent_downloads
        await asyncio.gather(*(worker(downloader) for _ in range(workers)))
    seconds = time.perf_counter() - started
    return Run(len(sources), received, seconds, time.process_time() - processor)


def _curl(sources: Sequence[SlideSource], settings: Settings) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "curlrc"
        config.write_text(
            "\n".join(
                f'url = "{slide.mirrors[0]}"\noutput = "{folder}/{number}.jpg"'
                for number, slide in enumerate(sources)
            )
        )
        command = [
            "curl",
            "-q",
            "--silent",
            "--no-progress-meter",
            "--show-error",
            "--fail",
            "--parallel",
        ]
        command += ["--parallel-max", str(settings.slide_max_concurrent_downloads)]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run([*command, "--config", str(config)], check=True)
        seconds = time.perf_counter() - started
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = usage.ru_utime + usage.ru_stime - used.ru_utime - used.ru_stime
        files = [path.stat().st_size for path in Path(folder).glob("*.jpg")]
        return Run(len(files), sum(files), seconds, processor)


def _bare_loop(sources: Sequence[SlideSource], settings: Settings) -> Run:
    return asyncio.run(_download_barely(sources, settings.slide_max_concurrent_downloads))


async def _download_barely(sources: Sequence[SlideSource], concurrency: int) -> Run:
    """Downloads, hashes and decodes, and keeps nothing."""
    started, processor = time.perf_counter(), time.process_time()
    waiting, received = iter(sources), 0

    def check(data: bytes) -> str:
        with Image.open(BytesIO(data)) as image:
            image.load()
        return hashlib.sha256(data).hexdigest()

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal received
        for slide in waiting:
            async with session.get(slide.mirrors[0]) as response:
                data = await response.read()
            await asyncio.to_thread(check, data)
            received += len(data)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))
    seconds = time.perf_counter() - started
    return Run(len(sources), received, seconds, time.process_time() - processor)
