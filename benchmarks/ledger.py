"""A look's whole way through the ledger, against a bare upsert of its post by the same client."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from uuid import uuid4

from benchmarks.measure import compare
from dagster_tiktok.database.ledger import Ledger, ScrapeResult, SlidesResult, open_ledger
from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.models import Metrics, Post, RowDetails, RowRequest
from dagster_tiktok.sandbox.serve import MIGRATIONS
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.settings import Settings, load_settings

POSTS = 500
SOURCE = "unused-unused"
NOW = datetime.now(timezone.utc)
TODAY = NOW.date()


def main() -> None:
    with sandbox() as settings:
        ids = tiktok_ids()
        compare(
            f"all stages of {POSTS} looks",
            lambda: asyncio.run(_all_stages(settings, ids)),
            "bare upsert",
            lambda: asyncio.run(_bare_upsert(settings, ids)),
            per=POSTS,
        )


@contextmanager
def sandbox() -> Iterator[Settings]:
    """Settings that lead to an empty local Supabase."""
    with tempfile.TemporaryDirectory() as folder:
        server = SupabaseServer(Path(folder), MIGRATIONS)
        asyncio.run(server.start())
        try:
            yield load_settings(
                None,
                supabase_url=server.url,
                supabase_key=server.secret_key,
                google_sheets_credentials="unused",
                google_sheet_url="https://docs.google.com/spreadsheets/d/unused-unused/edit",
            )
        finally:
            asyncio.run(server.close())


def tiktok_ids() -> Iterator[str]:
    return (str(7_700_000_000_000_000_000 + number) for number in count())


async def scrape(ledger: Ledger, posts: dict[str, Post], *, read_at: datetime) -> None:
    """Opens a look at each post, by its id, and records what it brought."""
    rows = [
        RowRequest(source_key=id_, row_number=1, details=a_row(post), tiktok_id=id_)
        for id_, post in posts.items()
    ]
    await ledger.open_units(rows, source=SOURCE, read_at=read_at)
    claimed = await ledger.claim("pending", due_date=TODAY, limit=len(posts))
    results = [
        ScrapeResult(
            unit_id=unit.id,
            result="scraped",
            tiktok_id=unit.tiktok_id,
            post=posts[unit.tiktok_id or ""],
        )
        for unit in claimed.units
    ]
    await ledger.record_scrapes(results)


async def _all_stages(settings: Settings, ids: Iterator[str]) -> None:
    posts = {post.tiktok_id: post for post in (a_post(next(ids)) for _ in range(POSTS))}
    async with open_ledger(settings, owner=uuid4()) as ledger:
        await scrape(ledger, posts, read_at=NOW)
        due = {"due_date": TODAY, "limit": POSTS}
        units = (await ledger.claim("scraped", **due)).units  # type: ignore[arg-type]
        await ledger.record_slides(
            [SlidesResult(unit_id=unit.id, result="stored") for unit in units]
        )
        units = (await ledger.claim("stored", **due)).units  # type: ignore[arg-type]
        written = await ledger.persist([unit.id for unit in units])
        if written.posts_written != POSTS:
            raise RuntimeError(f"only {written.posts_written} posts were written")
        units = (await ledger.claim("persisted", **due)).units  # type: ignore[arg-type]
        await ledger.finish({unit.id: None for unit in units})


async def _bare_upsert(settings: Settings, ids: Iterator[str]) -> None:
    posts = [a_post(next(ids)) for _ in range(POSTS)]
    rows = [
        {
            "tiktok_id": post.tiktok_id,
            "post_url": post.post_url,
            "va_url": post.post_url,
            "account": post.account,
            "post_description": post.description,
            **post.metrics.model_dump(),
        }
        for post in posts
    ]
    async with open_supabase(settings) as client:
        await client.table("tiktok_posts").upsert(rows, on_conflict="tiktok_id").execute()


def a_post(tiktok_id: str) -> Post:
    return Post(
        tiktok_id=tiktok_id,
        post_url=f"https://www.tiktok.com/@maya/video/{tiktok_id}",
        account="maya",
        followers=1000,
        posted_at=NOW,
        description="A caption of ordinary length, with #two #tags and a little more text. " * 2,
        hashtags=("two", "tags"),
        metrics=Metrics(views=1000, likes=100, comments=10, shares=5, bookmarks=3),
        scraped_at=NOW,
    )


def a_row(post: Post) -> RowDetails:
    return RowDetails(va_url=post.post_url, va="Ana", creator="Maya", set_id=1, post_type="NEW")
