"""The scrape stage on the sandbox: what it reaches of a limit, what it costs, what it holds.

The sandbox's TikTok and the local Supabase run in processes of their own. Every page tells its
account's followers, so that a post is one request. It takes about eight minutes.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.connection import Connection
from statistics import median
from uuid import uuid4

import aiohttp

from benchmarks.ledger import NOW, SOURCE, TODAY, sandbox
from benchmarks.measure import RUNS, peak_megabytes
from dagster_tiktok.database.ledger import open_ledger
from dagster_tiktok.models import RowDetails, RowRequest
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.settings import Settings
from dagster_tiktok.stages import open_rows as open  # noqa: A004
from dagster_tiktok.stages.claims import ClaimScope
from dagster_tiktok.stages.scrape import scrape_due
from dagster_tiktok.tiktok.client import TikTokClient

LIMITS = ((1, 40), (10, 300), (50, 1000))
"""Requests a second, and the posts that tell whether they are reached."""
PAGE_MS, CONCURRENCIES, PAIR_POSTS = 100, (4, 16), 400
COST_POSTS = 500
MEMORY_POSTS = (1_000, 10_000)
WORLD_POSTS = 25_000


@dataclass(frozen=True)
class Run:
    """One run of the stage. `processor` is in seconds, of our process alone."""

    posts: int
    seconds: float
    processor: float


def main() -> None:
    with sandbox() as supabase, _tiktok() as (url, ids):
        settings = supabase.model_copy(
            update={"tiktok_base_url": url, "tiktok_requests_per_second": 0.0}
        )
        _limits(settings, url, ids)
        _without_limit(settings, url, ids)
        _processor_time(settings, url, ids)
        _memory(settings, ids)


def _limits(settings: Settings, url: str, ids: Iterator[str]) -> None:
    for limit, posts in LIMITS:
        _control(url, "reset")
        run = _stage(
            settings.model_copy(update={"tiktok_requests_per_second": float(limit)}),
            list(islice(ids, posts)),
        )
        times = sorted(seen["monotonic"] for seen in _control(url, "requests")["requests"])
        name = f"limit of {limit} a second, {posts:,} posts"
        print(
            f"{name:<44} {run.posts / run.seconds:9.3f} posts a second   of the limit "
            f"{run.posts / run.seconds / limit:6.3f}   most in a second {_most_in_a_second(times)}"
        )


def _without_limit(settings: Settings, url: str, ids: Iterator[str]) -> None:
    _control(url, "shaping", {"page_latency_ms": [PAGE_MS, PAGE_MS]})
    for concurrency in CONCURRENCIES:
        chosen = settings.model_copy(update={"tiktok_max_concurrency": concurrency})
        _stage(chosen, list(islice(ids, 50)))  # warm
        asyncio.run(_download(url, list(islice(ids, 50)), concurrency))
        pairs = []
        for _ in range(RUNS):
            ours = _stage(chosen, list(islice(ids, PAIR_POSTS)))
            bare = asyncio.run(_download(url, list(islice(ids, PAIR_POSTS)), concurrency))
            pairs.append((ours.posts / ours.seconds, bare.posts / bare.seconds))
        name = f"pages of {PAGE_MS} ms, {concurrency} at once"
        print(
            f"{name:<44} {median(a for a, _ in pairs):9.1f} posts a second   bare aiohttp: "
            f"{median(b for _, b in pairs):.1f}   ratio {median(a / b for a, b in pairs):6.3f}"
        )


def _processor_time(settings: Settings, url: str, ids: Iterator[str]) -> None:
    _control(url, "shaping", {"page_latency_ms": [0, 0]})
    concurrency = settings.tiktok_max_concurrency
    pairs = []
    for _ in range(RUNS):
        ours = _stage(settings, list(islice(ids, COST_POSTS)))
        bare = asyncio.run(_download(url, list(islice(ids, COST_POSTS)), concurrency))
        pairs.append((ours.processor / ours.posts, bare.processor / bare.posts))
    ratio = median(a / b for a, b in pairs)
    print(
        f"{'processor time of a post, without latency':<44} "
        f"{1000 * median(a for a, _ in pairs):9.3f} ms   bare aiohttp: "
        f"{1000 * median(b for _, b in pairs):9.3f} ms   ratio {ratio:6.2f}"
    )


def _memory(settings: Settings, ids: Iterator[str]) -> None:
    """In a process a size: the peak of a process never falls again."""
    peaks = []
    for posts in MEMORY_POSTS:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_run_once, args=(settings, list(islice(ids, posts)), theirs)
        )
        process.start()
        peaks.append(ours.recv())
        process.join()
    name = f"memory at the peak, {MEMORY_POSTS[0]:,} posts"
    print(
        f"{name:<44} {peaks[0]:9.1f} MB   {MEMORY_POSTS[1]:,} posts: {peaks[1]:.1f} MB   "
        f"ratio {peaks[1] / peaks[0]:6.2f}"
    )


def _run_once(settings: Settings, ids: list[str], answer: Connection) -> None:
    _stage(settings, ids)
    answer.send(peak_megabytes())


def _stage(settings: Settings, ids: Sequence[str]) -> Run:
    return asyncio.run(_scrape(settings, ids))


async def _scrape(settings: Settings, ids: Sequence[str]) -> Run:
    async with open_ledger(settings, owner=uuid4()) as ledger, TikTokClient(settings) as client:
        for start in range(0, len(ids), open.CHUNK):
            rows = [_row(tiktok_id) for tiktok_id in ids[start : start + open.CHUNK]]
            await ledger.open_units(rows, source=SOURCE, read_at=NOW)
        due = ClaimScope(TODAY, len(ids))
        started, processor = time.perf_counter(), time.process_time()
        report = await scrape_due(ledger, client, due, advance=lambda: None)
        run = Run(report.scraped, time.perf_counter() - started, time.process_time() - processor)
    if (report.scraped, report.requests) != (len(ids), len(ids)):
        raise RuntimeError(f"{report.as_line()} of {len(ids)}, in {report.requests} requests")
    return run


async def _download(url: str, ids: Sequence[str], concurrency: int) -> Run:
    """What nothing can be faster than: the pages, downloaded."""
    waiting = iter(ids)

    async def worker(session: aiohttp.ClientSession) -> None:
        for tiktok_id in waiting:
            async with session.get(f"{url}/@_/video/{tiktok_id}") as response:
                await response.read()

    async with aiohttp.ClientSession() as session:
        started, processor = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))
        return Run(len(ids), time.perf_counter() - started, time.process_time() - processor)


def _row(tiktok_id: str) -> RowRequest:
    url = f"https://www.tiktok.com/@_/video/{tiktok_id}"
    details = RowDetails(va_url=url, va="Ana", creator="Maya", set_id=1, post_type="NEW")
    return RowRequest(source_key=tiktok_id, row_number=1, details=details, tiktok_id=tiktok_id)


def _most_in_a_second(times: Sequence[float]) -> int:
    first, most = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@contextmanager
def _tiktok() -> Iterator[tuple[str, Iterator[str]]]:
    """The address of a TikTok in a process of its own, and its posts' ids."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    url, ids = ours.recv()
    try:
        yield url, iter(ids)
    finally:
        ours.send(None)
        process.join()


def _serve(parent: Connection) -> None:
    async def until_told() -> None:
        world = World(posts=WORLD_POSTS)
        available = [post for post in world.posts if post.status == "available"]
        for post in available:
            world.add_post(replace(post, author_stats_on_page=True))
        async with TikTokServer(world) as server:
            parent.send((server.url, [post.tiktok_id for post in available]))
            await asyncio.to_thread(parent.recv)

    asyncio.run(until_told())


def _control(url: str, what: str, body: object = None) -> dict[str, list[dict[str, float]]]:
    data = None if what == "requests" else json.dumps(body or {}).encode()
    with urllib.request.urlopen(f"{url}/_control/{what}", data, timeout=30) as answer:
        loaded: dict[str, list[dict[str, float]]] = json.loads(answer.read())
    return loaded
