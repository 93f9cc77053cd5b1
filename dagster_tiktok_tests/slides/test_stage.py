"""The stage `slide_files` between a fake TikTok and a real database and bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from itertools import count
from typing import Any
from uuid import uuid4

from dagster_tiktok.database.ledger import open_ledger
from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.models import RowDetails, RowRequest
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.breaker import OPEN_AFTER_SLIDES
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.failures import FailureKind
from dagster_tiktok.slides.mover import SlideMover
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.stages.claims import ClaimScope
from dagster_tiktok.stages.scrape import scrape_due
from dagster_tiktok.stages.store_slides import StoreReport, store_due
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok_tests.slides.conftest import MakeSettings

SOURCE = "0123456789#gid=0"
TODAY = date(2026, 9, 22)
DUE = ClaimScope(date.max, 1000)
ATTEMPTS = 1
TRIES = 5
MIRRORS = 2
POSTS, SLIDES = 20, 2
_seeds = count(1)

Unit = dict[str, Any]


@dataclass
class Day:
    """ScrapePasses that are scraped already, and the servers."""

    settings: Settings
    tiktok: TikTokServer
    ids: list[str]

    async def store(self, report: StoreReport | None = None) -> StoreReport:
        """One run of the stage."""
        async with (
            open_ledger(self.settings, owner=uuid4()) as ledger,
            TikTokClient(self.settings, pause_seconds=0) as client,
            SlideDownloader(
                self.settings, cookies=client.cookies, max_wait=0.01, attempts=ATTEMPTS
            ) as downloader,
            open_slide_store(self.settings) as store,
        ):
            mover = SlideMover(downloader, store, refresh=client.fetch_post)
            return await store_due(
                ledger, mover, DUE, concurrency=15, advance=lambda: None, report=report
            )

    def asked(self, kind: str) -> int:
        return len(self.tiktok.log.selected(kind=kind))

    async def units(self) -> list[Unit]:
        """In the order of `ids`."""
        async with open_supabase(self.settings) as client:
            rows: Any = (await client.table("scrape_units").select("*").execute()).data
        by_post = {row["tiktok_id"]: row for row in rows}
        return [by_post[tiktok_id] for tiktok_id in self.ids]

    async def had_failed(self, runs: int) -> None:
        """As if so many runs had tried already."""
        async with open_supabase(self.settings) as client:
            table = client.table("scrape_units").update({"attempts": runs})
            await table.eq("state", "scraped").execute()

    async def pass_a_day(self) -> None:
        async with open_supabase(self.settings) as client:
            await client.rpc("sandbox_clock", {"p": {"by_seconds": 86_400}}).execute()


@asynccontextmanager
async def day_of(
    make_settings: MakeSettings, supabase: SupabaseServer, *, posts: int, slides: int
) -> AsyncIterator[Day]:
    world = World(
        seed=next(_seeds), posts=posts, only="carousel", slide_count=slides, slide_style="drawn"
    )
    async with TikTokServer(world) as tiktok:
        settings = make_settings(
            supabase_url=supabase.url,
            supabase_key=supabase.secret_key,
            tiktok_base_url=tiktok.url,
            tiktok_requests_per_second=0,
            slide_allowed_hosts=f"127.0.0.1:{tiktok.port}",
        )
        ids = [post.tiktok_id for post in world.posts]
        async with (
            open_ledger(settings, owner=uuid4()) as ledger,
            TikTokClient(settings) as client,
        ):
            rows = [_row(tiktok_id) for tiktok_id in ids]
            await ledger.open_units(rows, source=SOURCE, read_at=datetime.now(timezone.utc))
            scraped = await scrape_due(ledger, client, DUE, advance=lambda: None)
        assert scraped.scraped == posts
        tiktok.log.reset()
        yield Day(settings, tiktok, ids)


def _row(tiktok_id: str) -> RowRequest:
    url = f"https://www.tiktok.com/@_/video/{tiktok_id}"
    details = RowDetails(va_url=url, va="Ana", creator="Maya", set_id=1, post_type="NEW")
    return RowRequest(source_key=tiktok_id, row_number=1, details=details, tiktok_id=tiktok_id)


def play(
    make_settings: MakeSettings,
    supabase: SupabaseServer,
    scene: Callable[[Day], Awaitable[None]],
    *,
    posts: int,
    slides: int,
) -> None:
    async def run() -> None:
        async with day_of(make_settings, supabase, posts=posts, slides=slides) as day:
            await scene(day)

    asyncio.run(run())


def test_a_cdn_that_rejects_everything_ends_the_stage_and_counts_no_attempts(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def scene(day: Day) -> None:
        await day.had_failed(TRIES - 1)
        faults: dict[FailureKind, Fault] = {
            "server_error": Fault("status", on="slide", status=503),
            "rate_limited": Fault("status", on="slide", status=429, retry_after=0),
            "expired": Fault("expired", on="slide"),
        }
        for kind, fault in faults.items():
            day.tiktok.log.reset()
            number = day.tiktok.faults.add(fault)
            report = await day.store()
            assert report.rejection
            assert kind in report.rejection
            assert (report.stored, report.incomplete) == (0, POSTS)
            assert day.tiktok.faults.remove(number)
            # What failed, and what was under way at the first and at the last of it: three slides
            # for each of the connections.
            most = OPEN_AFTER_SLIDES + 2 * 3 * day.settings.slide_max_concurrent_downloads
            assert day.asked("slide") <= most * MIRRORS * ATTEMPTS
            assert day.asked("page") <= (most / SLIDES if kind == "expired" else 0)
            assert {*report.stats.by_kind} == {kind, "not_asked"}
            assert OPEN_AFTER_SLIDES <= report.stats.by_kind[kind] <= most
            assert report.stats.by_kind[kind] <= report.stats.failed_requests
            assert report.stats.failed == POSTS * SLIDES

        untouched = {(unit["state"], unit["attempts"]) for unit in await day.units()}
        assert untouched == {("scraped", TRIES - 1)}
        report = await day.store()
        assert (report.stored, report.incomplete) == (POSTS, 0)
        assert report.stats.successful == POSTS * SLIDES
        for unit in await day.units():
            assert (unit["state"], len(unit["slides"])) == ("stored", SLIDES)
            assert unit["post"]["data_quality"] != "partial"

    play(make_settings, supabase, scene, posts=POSTS, slides=SLIDES)


def test_a_post_with_a_missing_slide_becomes_partial_after_the_fifth_run(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def scene(day: Day) -> None:
        day.tiktok.faults.add(Fault("expired", on="slide", post_id=day.ids[1], slide_number=2))
        await day.had_failed(TRIES - 2)
        assert (await day.store()).incomplete == 1
        good, broken = await day.units()
        assert (good["state"], len(good["slides"])) == ("stored", 3)
        assert (broken["state"], broken["attempts"]) == ("scraped", TRIES - 1)
        assert broken["error_kind"] == "expired"
        assert [slide["slide_number"] for slide in broken["slides"]] == [1, 3]
        assert (await day.store()).stored == 0, "the time of its next try has not come"

        await day.pass_a_day()
        assert (await day.store()).stored == 1
        _, broken = await day.units()
        assert broken["state"] == "stored"
        assert broken["post"]["data_quality"] == "partial"
        assert [slide["slide_number"] for slide in broken["slides"]] == [1, 3]

    play(make_settings, supabase, scene, posts=2, slides=3)


def test_a_carousel_that_is_rejected_as_a_whole_counts_an_attempt_for_itself_only(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def scene(day: Day) -> None:
        day.tiktok.faults.add(Fault("expired", on="slide", post_id=day.ids[0]))
        report = await day.store()
        assert (report.stored, report.incomplete) == (1, 1)
        assert [unit["attempts"] for unit in await day.units()] == [1, 0]
        day.tiktok.faults.clear()
        await day.pass_a_day()
        assert (await day.store()).stored == 1

    play(make_settings, supabase, scene, posts=2, slides=11)
