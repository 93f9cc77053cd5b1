"""10,000 posts with 20,000 slides through the ledger and supabase-py, in the pipeline's own chunks.

Between two chunks the peer: the same rows as bare upserts by the same client, a call a table, with
the slides' and figures' calls waiting for the ids of the posts.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from statistics import median
from typing import Any, cast
from uuid import UUID, uuid4

from postgrest import ReturnMethod
from supabase import AsyncClient

from benchmarks.ledger import NOW, SOURCE, TODAY, a_post, a_row, sandbox, tiktok_ids
from benchmarks.measure import peak_megabytes
from dagster_tiktok.database.ledger import Ledger, ScrapeResult, SlidesResult, open_ledger
from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.models import Post, RowRequest, SlideSource, StoredSlide, Unit
from dagster_tiktok.settings import Settings
from dagster_tiktok.stages import open_rows, persist, scrape, store_slides, write_back
from dagster_tiktok.stages.claims import Claims, ClaimScope
from dagster_tiktok.stages.recorder import FLUSH_SIZE

FIRST, POSTS, SLIDES = 1_000, 10_000, 2
DUE = ClaimScope(TODAY, POSTS)


def main() -> None:
    with sandbox() as settings:
        asyncio.run(_measure(settings))


async def _measure(settings: Settings) -> None:
    ids = tiktok_ids()
    async with (
        open_ledger(settings, owner=uuid4()) as ledger,
        open_supabase(settings) as client,
    ):
        all_stages, pairs = await _scrape(ledger, client, ids, FIRST)
        peak = peak_megabytes()
        rest = await _scrape(ledger, client, ids, POSTS - FIRST)
    all_stages, pairs = all_stages + rest[0], pairs + rest[1]
    persisting = sum(ours for ours, _ in pairs)
    bare, ratio = sum(peer for _, peer in pairs), median(ours / peer for ours, peer in pairs)
    name = f"persist {POSTS:,} posts, {POSTS * SLIDES:,} slides"
    print(f"{name:<44} {persisting:9.2f} s    bare upserts: {bare:9.2f} s    ratio {ratio:6.2f}")
    print(f"{'  with all other stages':<44} {all_stages:9.2f} s")
    name = f"  memory at the peak, first {FIRST:,} posts"
    print(f"{name:<44} {peak:9.1f} MB   the others: {peak_megabytes() - peak:.1f} MB more")


async def _scrape(
    ledger: Ledger, client: AsyncClient, ids: Iterator[str], posts: int
) -> tuple[float, list[tuple[float, float]]]:
    """Takes new posts through all stages.

    Returns the seconds of that, and of each chunk: persisting it and its bare upserts.
    """
    started = time.perf_counter()
    await _open(ledger, list(islice(ids, posts)))
    async for units in _claimed(ledger, "pending", scrape.CLAIM_CHUNK):
        for group in _groups(units):
            await ledger.record_scrapes([_scraped(unit) for unit in group])
    async for units in _claimed(ledger, "scraped", store_slides.CLAIM_CHUNK):
        for group in _groups(units):
            await ledger.record_slides([_stored(unit) for unit in group])

    pairs = []
    chunks = _claimed(ledger, "stored", persist.CLAIM_CHUNK)
    while True:
        before = time.perf_counter()
        chunk = await anext(chunks, None)
        if chunk is None:
            break
        await ledger.persist([unit.id for unit in chunk])
        between = time.perf_counter()
        await _bare_upserts(client, list(islice(ids, len(chunk))))
        pairs.append((between - before, time.perf_counter() - between))

    async for units in _claimed(ledger, "persisted", write_back.CLAIM_CHUNK):
        await ledger.finish({unit.id: None for unit in units})
    return time.perf_counter() - started - sum(peer for _, peer in pairs), pairs


async def _open(ledger: Ledger, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), open_rows.CHUNK):
        posts = [a_post(tiktok_id) for tiktok_id in ids[start : start + open_rows.CHUNK]]
        rows = [
            RowRequest(source_key=p.post_url, row_number=1, details=a_row(p), tiktok_id=p.tiktok_id)
            for p in posts
        ]
        await ledger.open_units(rows, source=SOURCE, read_at=NOW)


async def _claimed(ledger: Ledger, state: Any, chunk: int) -> AsyncIterator[Sequence[Unit]]:
    async for units in Claims(ledger, state, DUE, chunk=chunk).chunks():
        yield units


def _groups(units: Sequence[Unit]) -> Iterator[Sequence[Unit]]:
    return (units[start : start + FLUSH_SIZE] for start in range(0, len(units), FLUSH_SIZE))


def _scraped(unit: Unit) -> ScrapeResult:
    tiktok_id = unit.tiktok_id or ""
    page = a_post(tiktok_id).model_copy(update={"slides": tuple(_sources(tiktok_id))})
    return ScrapeResult(unit_id=unit.id, result="scraped", tiktok_id=tiktok_id, post=page)


def _stored(unit: Unit) -> SlidesResult:
    return SlidesResult(
        unit_id=unit.id, result="stored", slides=tuple(_slides(unit.tiktok_id or ""))
    )


def _sources(tiktok_id: str) -> Iterator[SlideSource]:
    for slide in _slides(tiktok_id):
        mirrors = (slide.slide_url, slide.slide_url.replace("p16", "p19"))
        yield SlideSource(number=slide.slide_number, mirrors=mirrors, width=1080, height=1440)


def _slides(tiktok_id: str) -> Iterator[StoredSlide]:
    for number in range(1, SLIDES + 1):
        digest = hashlib.sha256(f"{tiktok_id}/{number}".encode()).hexdigest()
        path = f"{tiktok_id}/{number:02}-{digest[:16]}.jpeg"
        yield StoredSlide(
            slide_number=number,
            slide_url=f"https://p16-common-sign.tiktokcdn-eu.com/tos-maliva-i-photomode-us/"
            f"{digest[:32]}~tplv-photomode-image.jpeg?x-expires=1794913200&x-signature={digest}",
            storage_path=path,
            public_url=f"https://example.supabase.co/storage/v1/object/public/{path}",
            file_size=150_000,
            width=1080,
            height=1440,
            mime_type="image/jpeg",
            content_hash=digest,
            downloaded_at=NOW,
            uploaded_at=NOW,
        )


async def _bare_upserts(client: AsyncClient, ids: Sequence[str]) -> None:
    posts = {tiktok_id: a_post(tiktok_id) for tiktok_id in ids}
    slides = {tiktok_id: list(_slides(tiktok_id)) for tiktok_id in ids}
    answer = await (
        client.table("tiktok_posts")
        .upsert(
            [_post_row(post, slides[post.tiktok_id]) for post in posts.values()],
            on_conflict="tiktok_id",
        )
        .execute()
    )
    written = cast("list[dict[str, Any]]", answer.data)
    post_ids = {row["tiktok_id"]: row["id"] for row in written}
    rows: dict[str, tuple[str, list[dict[str, Any]]]] = {
        "tiktok_slides": (
            "post_id,slide_number",
            [
                {
                    "post_id": post_ids[tiktok_id],
                    "post_url": posts[tiktok_id].post_url,
                    **slide.model_dump(mode="json", exclude={"image_key"}),
                }
                for tiktok_id in ids
                for slide in slides[tiktok_id]
            ],
        ),
        "post_metrics": (
            "post_id,captured_on",
            [
                {
                    "post_id": post_ids[post.tiktok_id],
                    "captured_on": TODAY.isoformat(),
                    "captured_at": NOW.isoformat(),
                    "followers": post.followers,
                    **post.metrics.model_dump(),
                }
                for post in posts.values()
            ],
        ),
        "scrape_units": (
            "source_key,slot",
            [
                {
                    "source_key": tiktok_id,
                    "slot": slot,
                    "due_date": (TODAY + timedelta(days=slot)).isoformat(),
                    "tiktok_id": tiktok_id,
                }
                for tiktok_id in ids
                for slot in range(1, 6)
            ],
        ),
    }
    for table, (key, values) in rows.items():
        await (
            client.table(table)
            .upsert(values, on_conflict=key, returning=ReturnMethod.minimal)
            .execute()
        )


def _post_row(post: Post, slides: Sequence[StoredSlide]) -> dict[str, Any]:
    details = a_row(post)
    return {
        **post.model_dump(
            mode="json",
            include={
                "tiktok_id",
                "post_url",
                "account",
                "account_verified",
                "followers",
                "hashtags",
                "sound",
                "sound_url",
                "scraped_at",
                "scraping_method",
                "data_quality",
            },
        ),
        **details.model_dump(mode="json", include={"va_url", "va", "creator", "set_id"}),
        **post.metrics.model_dump(),
        "set_code": "MAYA_001",
        "post_type": details.post_type,
        "created_date": TODAY.isoformat(),
        "logged_at": NOW.isoformat(),
        "first_scraped_at": NOW.isoformat(),
        "last_scraped_at": NOW.isoformat(),
        "slide_count": len(slides),
        "slides": [slide.public_url for slide in slides],
        "scrape_count": 1,
        "days_since_posted": 0,
        "post_description": post.description,
        "batch_id": str(UUID(int=1)),
    }
