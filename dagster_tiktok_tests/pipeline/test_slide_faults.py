"""The stage of the slides with every fault at once, and the next run, which repairs it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dagster_tiktok.database.ledger import open_ledger
from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.models import RowDetails, RowRequest
from dagster_tiktok.sandbox.serve import CLOCK, MARK, MIGRATIONS
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.settings import Settings, load_settings
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.mover import SlideMover
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.slides.stream import Timeouts
from dagster_tiktok.stages.claims import ClaimScope
from dagster_tiktok.stages.scrape import scrape_due
from dagster_tiktok.stages.store_slides import StoreReport, store_due
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok_tests.support.fault_proxy import FaultProxy
from dagster_tiktok_tests.support.responses import status, storage_error

pytestmark = pytest.mark.node

SOURCE = "unused-unused"
NOW = datetime.now(timezone.utc)
DUE = ClaimScope(NOW.date(), 1000)
SLIDES, BROKEN = 4, 2
"""Slides of a post, and which of them goes wrong."""
LASTING = {
    "stall": (Fault("stall", mirror=0), "network"),
    "5xx": (Fault("status", status=503), "server_error"),
    "429": (Fault("status", status=429, retry_after=0.1), "rate_limited"),
    "reset": (Fault("reset"), "network"),
    "reset in mid-body": (Fault("cut_off"), "network truncated"),
    "truncated": (Fault("truncated_image"), "truncated"),
    "empty": (Fault("empty"), "truncated"),
    "html": (Fault("html"), "not_an_image"),
    "wrong length": (Fault("wrong_length"), "truncated"),
    "expired": (Fault("expired"), "expired"),
}
STORAGE = {
    "storage 500": (status(500), "storage_unavailable"),
    "storage 413": (storage_error(400, 413, "too large"), "storage_refused"),
}
PASSING = ("slow", "status", "reset", "cut_off", "truncated_image", "html", "wrong_length")
KINDS = {name: kinds.split() for name, (_, kinds) in {**LASTING, **STORAGE}.items()}


@dataclass
class Stage:
    """A TikTok, a bucket behind a proxy that misbehaves, and the scrapes between them."""

    tiktok: TikTokServer
    storage: FaultProxy
    settings: Settings

    async def scrape(self) -> None:
        posts = self.tiktok.world.posts
        details = {"va": "Ana", "creator": "Maya", "set_id": 1, "post_type": "NEW"}
        rows = [
            RowRequest(
                source_key=post.tiktok_id,
                row_number=number,
                details=RowDetails(va_url=post.canonical_url, **details),
                tiktok_id=post.tiktok_id,
            )
            for number, post in enumerate(posts, 2)
        ]
        async with (
            open_ledger(self.settings, owner=uuid4()) as ledger,
            TikTokClient(self.settings) as client,
        ):
            await ledger.open_units(rows, source=SOURCE, read_at=NOW)
            report = await scrape_due(ledger, client, DUE, advance=lambda: None)
        assert report.scraped == len(posts)

    async def draw(self) -> None:
        """So that no response waits for its image, which a busy machine draws for seconds."""
        for post in self.tiktok.world.posts:
            for slide in post.slides:
                await self.tiktok.images.sha256(slide.image_key)

    async def store(self, *, idle: float = 240) -> StoreReport:
        """One run of the stage, whose retries come soon."""
        settings = self.settings
        async with (
            open_ledger(settings, owner=uuid4()) as ledger,
            TikTokClient(settings) as client,
            SlideDownloader(
                settings, timeouts=Timeouts(idle=idle), attempts=2, max_wait=0.1
            ) as downloader,
            open_slide_store(settings, attempts=2) as store,
        ):
            mover = SlideMover(downloader, store, refresh=client.fetch_post)
            return await store_due(ledger, mover, DUE, concurrency=15, advance=lambda: None)

    async def pass_an_hour(self) -> None:
        async with open_supabase(self.settings) as client:
            await client.rpc("sandbox_clock", {"p": {"by_seconds": 3600}}).execute()

    async def units(self) -> dict[str, dict[str, Any]]:
        async with open_supabase(self.settings) as client:
            response = await client.table("scrape_units").select("*").eq("slot", 0).execute()
        rows: Any = response.data
        return {row["tiktok_id"]: row for row in rows}

    def slides_asked_for(self, *, after: int = 0) -> Counter[tuple[str | None, int | None]]:
        entries = self.tiktok.log.selected(kind="slide", after=after)
        return Counter((entry.post_id, entry.slide_number) for entry in entries)


@asynccontextmanager
async def stage_on(folder: Path) -> AsyncIterator[Stage]:
    world = World(posts=len(KINDS) + len(PASSING) + 3, only="carousel", slide_count=SLIDES)
    async with (
        SupabaseServer(folder / "supabase", MIGRATIONS, also=[MARK, CLOCK]) as supabase,
        FaultProxy(supabase.url) as storage,
        TikTokServer(world) as tiktok,
    ):
        settings = load_settings(
            None,
            supabase_url=storage.url,
            supabase_key=supabase.secret_key,
            google_sheets_credentials="unused",
            google_sheet_url="https://docs.google.com/spreadsheets/d/unused-unused/edit",
            tiktok_base_url=tiktok.url,
            tiktok_requests_per_second=0,
            slide_allowed_hosts=f"127.0.0.1:{tiktok.port}",
            slide_cache_dir=folder / "cache",
            slide_min_free_mb=0,
        )
        yield Stage(tiktok, storage, settings)


@pytest.mark.slow
def test_slides_that_fail_with_any_fault_are_stored_by_the_next_run(tmp_path: Path) -> None:
    async def run() -> None:
        async with stage_on(tmp_path) as stage:
            await stage.scrape()
            ids = [post.tiktok_id for post in stage.tiktok.world.posts]
            broken = dict(zip(KINDS, ids))
            for name, (fault, _) in LASTING.items():
                plan = {**vars(fault), "on": "slide", "slide_number": BROKEN}
                stage.tiktok.faults.add(Fault(**{**plan, "post_id": broken[name]}))
            stage.tiktok.faults.add(
                Fault("status", on="slide", slide_number=BROKEN, post_id=broken["stall"], mirror=1)
            )
            for name, (response, _) in STORAGE.items():
                stage.storage.by_path[f"{broken[name]}/{BROKEN:02}-"] = response
            for kind, tiktok_id in zip(PASSING, ids[len(KINDS) :]):
                fault = Fault(kind, on="slide", post_id=tiktok_id, mirror=0, times_each=1)
                stage.tiktok.faults.add(fault)

            await stage.draw()
            # What falls silent is waited for twice. A request that a busy machine ends too early
            # is made again.
            report = await stage.store(idle=10)

            units = await stage.units()
            found = {name: units[tiktok_id]["error_kind"] for name, tiktok_id in broken.items()}
            assert {n: kind for n, kind in found.items() if kind not in KINDS[n]} == {}
            assert Counter(report.stats.as_metrics()["by_kind"]) == Counter(found.values())
            assert (report.stored, report.incomplete) == (len(ids) - len(broken), len(broken))
            for tiktok_id, unit in units.items():
                missing = {BROKEN} if tiktok_id in broken.values() else set()
                stored = {slide["slide_number"] for slide in unit["slides"]}
                assert stored == set(range(1, SLIDES + 1)) - missing
                assert unit["state"] == ("scraped" if missing else "stored")
                assert ("Slide 2: " in (unit["error"] or "")) == bool(missing)

            stage.tiktok.faults.clear()
            stage.storage.by_path.clear()
            before = stage.tiktok.log.total
            await stage.pass_an_hour()  # what was counted has its next try then
            again = await stage.store()

            assert (again.stored, again.incomplete) == (len(broken), 0)
            units = await stage.units()
            assert {unit["state"] for unit in units.values()} == {"stored"}
            for post in stage.tiktok.world.posts:
                hashes = [await stage.tiktok.images.sha256(s.image_key) for s in post.slides]
                slides = units[post.tiktok_id]["slides"]
                assert [slide["content_hash"] for slide in slides] == hashes
            # What lay in the cache, rejected by the bucket alone, is not asked for once more.
            asked = {broken[name]: 1 for name in LASTING}
            assert stage.slides_asked_for(after=before) == Counter(
                {(tiktok_id, BROKEN): times for tiktok_id, times in asked.items()}
            )

    asyncio.run(run())
