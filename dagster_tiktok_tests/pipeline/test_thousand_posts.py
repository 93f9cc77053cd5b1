"""A thousand posts from a TikTok that often fails: all are read, politely, and none twice."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timezone
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from supabase import create_client

from dagster_tiktok.database.ledger import open_ledger
from dagster_tiktok.models import RowDetails, RowRequest
from dagster_tiktok.sandbox.serve import MIGRATIONS
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.sandbox.tiktok.content import page_filler
from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.request_log import LogEntry
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.settings import Settings, load_settings
from dagster_tiktok.stages.claims import ClaimScope
from dagster_tiktok.stages.scrape import ScrapeReport, scrape_due
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok.tiktok.links.post_links import parse_post_link

pytestmark = pytest.mark.node

POSTS = 1000
PER_SECOND = 50
SOURCE = "unused-unused"
TODAY = date(2026, 9, 22)
NOW = datetime(2026, 9, 22, 12, tzinfo=timezone.utc)
FAULTS = (
    Fault("slow", latency_ms=(50, 500)),
    Fault("status", status=503, probability=0.10),
    Fault("status", status=429, retry_after=1, probability=0.05),
    Fault("cut_off", probability=0.05),
    Fault("challenge", probability=0.02),
)
# Behind these a post may be seen another time, so they are asked for again.
WALLS = frozenset({"login_wall", "not_logged_in", "new_reason"})


@pytest.mark.slow
def test_a_thousand_posts_are_read_once_from_a_tiktok_that_often_fails(tmp_path: Path) -> None:
    world = the_world()
    existing = {post.tiktok_id for post in world.posts if post.status == "available"}
    walled = {post.tiktok_id for post in world.posts if post.status in WALLS}
    gone = {post.tiktok_id for post in world.posts} - existing - walled

    began = time.monotonic()
    report, units, log = scraped(tmp_path)

    assert len(units) == POSTS
    assert ids_of(units, "scraped") == existing
    assert ids_of(units, "unavailable") == gone
    assert ids_of(units, None) == walled
    # One that is sent into a connection which the server has just ended is counted too.
    assert len(log) <= report.requests
    assert {entry.fault for entry in log} == {None, *(fault.kind for fault in FAULTS[1:])}
    # Each had its turn. What a second holds at most is measured by benchmarks/scraping.py.
    assert log[-1].monotonic - began >= (len(log) - 1) / PER_SECOND
    for path, entries in by_path(log).items():
        faults = [entry.fault for entry in entries]
        # Of a redirect that is cut off the target has arrived.
        if entries[0].kind == "short" and faults[-1] == "cut_off":
            faults[-1] = None
        if entries[0].post_id not in walled or entries[0].kind == "short":
            assert faults.count(None) == 1, path
            assert faults[-1] is None, path


def the_world() -> World:
    """Of a fixed date, so that chance gives every run the same faults."""
    return World(posts=POSTS, now=NOW.timestamp())


def scraped(folder: Path) -> tuple[ScrapeReport, list[dict[str, Any]], list[LogEntry]]:
    """What the stage reports, the ledger's units after it, and what TikTok was asked."""
    supabase = SupabaseServer(folder, MIGRATIONS)
    asyncio.run(supabase.start())
    # A process of its own: this one's work must not delay the arrival of a request.
    ours, theirs = multiprocessing.Pipe()
    tiktok = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    tiktok.start()
    try:
        settings = load_settings(
            None,
            supabase_url=supabase.url,
            supabase_key=supabase.secret_key,
            google_sheets_credentials="unused",
            google_sheet_url="https://docs.google.com/spreadsheets/d/unused-unused/edit",
            tiktok_base_url=ours.recv(),
            tiktok_requests_per_second=PER_SECOND,
            tiktok_max_concurrency=32,
        )
        report = asyncio.run(scrape(settings, the_world().posts))
        ours.send("the log")
        return report, units_of(supabase), ours.recv()
    finally:
        tiktok.kill()
        tiktok.join()
        asyncio.run(supabase.close())


def serve(test: Connection) -> None:
    """Sends its URL, and when something comes the log."""
    # What all pages share is made at the first need, which takes a second.
    for variant in range(20):
        page_filler.page(b"{}", variant, gzip=True)

    async def until_asked() -> None:
        async with TikTokServer(the_world()) as server:
            for fault in FAULTS:
                server.faults.add(fault)
            test.send(server.url)
            await asyncio.to_thread(test.recv)
            test.send(list(server.log.entries))

    asyncio.run(until_asked())


async def scrape(settings: Settings, posts: Sequence[FakePost]) -> ScrapeReport:
    async with (
        open_ledger(settings, owner=uuid4()) as ledger,
        TikTokClient(settings, pause_seconds=0.2) as client,
    ):
        rows = [row(number, post) for number, post in enumerate(posts, start=2)]
        await ledger.open_units(rows, source=SOURCE, read_at=NOW)
        due = ClaimScope(date.max, len(rows))
        return await scrape_due(ledger, client, due, advance=lambda: None, pass_pause_seconds=0.3)


def row(number: int, post: FakePost) -> RowRequest:
    """One row in ten holds a short link."""
    is_short = number % 10 == 0
    url = (
        f"https://vm.tiktok.com/{post.short_code}/"
        if is_short
        else f"https://www.tiktok.com{post.video_path}"
    )
    ref = parse_post_link(url)
    return RowRequest(
        source_key=ref.key,
        row_number=number,
        details=RowDetails(va_url=url, va="Ana", creator="Maya", set_id=1, post_type="NEW"),
        tiktok_id=ref.tiktok_id,
    )


def units_of(supabase: SupabaseServer) -> list[dict[str, Any]]:
    table = create_client(supabase.url, supabase.secret_key).table("scrape_units")
    # A scrape that was read may have opened those of the following days.
    chosen = table.select("tiktok_id,outcome").eq("slot", 0).limit(POSTS + 1).execute().data
    assert isinstance(chosen, list)
    return [dict(unit) for unit in chosen if isinstance(unit, dict)]


def ids_of(units: Sequence[dict[str, Any]], outcome: str | None) -> set[str]:
    return {unit["tiktok_id"] for unit in units if unit["outcome"] == outcome}


def by_path(log: Sequence[LogEntry]) -> dict[str, list[LogEntry]]:
    entries = defaultdict(list)
    for entry in log:
        entries[entry.path].append(entry)
    return entries
