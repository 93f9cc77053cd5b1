"""`dagster-tiktok repair`: slide rows without an object, and orphaned objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from dagster_tiktok.database.functions import Database, open_database
from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.progress import progress
from dagster_tiktok.repair.records import BrokenSlide, BucketObject, SlideRecords
from dagster_tiktok.repair.removal import open_slide_remover
from dagster_tiktok.repair.service import (
    Pages,
    RepairReport,
    find_objects,
    find_rows,
    remove_objects,
    repair_rows,
)
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.mover import SlideMover, open_slide_mover
from dagster_tiktok.slides.store import SlideStore, open_slide_store
from dagster_tiktok.text import printable, truncate
from dagster_tiktok.tiktok.client import TikTokClient

LISTED = 20
_SHOWN_CHARACTERS = 200


async def repair(
    settings: Settings, *, fix: bool, older_than_hours: int, force: bool = False
) -> RepairReport:
    """Compares rows and objects. With `fix`, stores slides again and removes orphaned objects.

    Rows come first, because an object that a repaired row names is not orphaned.

    Arguments:
        older_than_hours: newer objects are left out.
        force: also remove objects if most of the bucket's are orphaned.

    Raises:
        ConfigurationError: a setting is wrong.
        ServiceUnavailableError: Supabase does not respond at all.
    """
    report = RepairReport()
    async with (
        open_database(settings, starting=True) as database,
        open_slide_store(settings, now=database.now) as store,
    ):
        # Of two uploads the later one counts, so timestamps must not come from a wrong clock.
        await database.clock()
        await store.check()
        records = SlideRecords(database, settings.supabase_bucket)
        with _reported(report):
            await find_rows(records, report)
            if fix and report.broken:
                await _repair_rows(settings, database, records, store, report)
        with _reported(report):
            await find_objects(records, report, older_than_hours=older_than_hours)
            if fix and report.orphaned:
                with progress("objects", "removed") as bar:
                    bar.show(0, of=len(report.orphaned))
                    async with open_slide_remover(settings) as remover:
                        await remove_objects(
                            records,
                            remover,
                            report,
                            older_than_hours=older_than_hours,
                            force=force,
                            advance=bar.advance,
                        )
    return report


def as_json_object(report: RepairReport) -> dict[str, Any]:
    """The object that `dagster-tiktok repair --json` prints last."""
    return {
        "ok": report.ok,
        "slides_examined": report.slides_examined,
        "objects_examined": report.objects_examined,
        "rows_without_object": [slide.model_dump(mode="json") for slide in report.broken],
        "objects_without_row": [each.model_dump(mode="json") for each in report.orphaned],
        "foreign_objects": [each.model_dump(mode="json") for each in report.foreign],
        "posts": [
            {
                "tiktok_id": post.tiktok_id,
                "result": post.result,
                "slides": list(post.slides),
                "reasons": list(post.reasons),
            }
            for post in report.posts
        ],
        "removed": report.removed,
        "left": report.left,
        "errors": report.errors,
    }


def print_report(report: RepairReport, *, fix: bool, file: TextIO) -> None:
    """Prints what was found and what was done about it, the first LISTED of each kind."""
    console = Console(file=file, highlight=False, soft_wrap=True)

    def listed(title: str, lines: Sequence[str], style: str) -> None:
        if lines:
            console.print(Text(f"{len(lines)} {title}:"))
        for line in lines[:LISTED]:
            console.print(Text(f"  {_shown(line)}", style=style))
        if len(lines) > LISTED:
            console.print(Text(f"  and {len(lines) - LISTED} more (see --json)"))

    console.print(
        Text(f"Checked {report.slides_examined} rows and {report.objects_examined} objects.")
    )
    listed("rows without an intact object", [_row(slide) for slide in report.broken], "yellow")
    repaired = [post for post in report.posts if post.result == "repaired"]
    if repaired:
        slides = sum(len(post.slides) for post in repaired)
        console.print(Text(f"{len(repaired)} posts repaired, {slides} slides stored again."))
    for result, title in (("lost", "posts no longer on TikTok"), ("left", "posts not repaired")):
        lines = [
            f"{post.tiktok_id}: {'; '.join(post.reasons)}"
            for post in report.posts
            if post.result == result
        ]
        listed(title, lines, "red")
    listed("orphaned objects", [_object(each) for each in report.orphaned], "yellow")
    if report.removed:
        console.print(Text(f"{len(report.removed)} objects removed."))
    listed(
        "objects that are not the pipeline's, left alone",
        [_object(each) for each in report.foreign],
        "yellow",
    )
    for message in report.errors:
        console.print(Text(_shown(message), style="red"))
    if report.ok:
        found = report.broken or report.orphaned
        console.print(
            Text("Everything is repaired." if found else "Nothing is wrong.", style="green")
        )
    elif not fix and (report.broken or report.orphaned):
        console.print(Text("Nothing was changed. Run with --fix to repair this."))


@contextmanager
def _reported(report: RepairReport) -> Iterator[None]:
    """Reports what ends one part, so that the other part still runs."""
    try:
        yield
    except ServiceUnavailableError as error:
        report.errors.append(str(error))


async def _repair_rows(
    settings: Settings,
    database: Database,
    records: SlideRecords,
    store: SlideStore,
    report: RepairReport,
) -> None:
    with progress("rows", "posts repaired") as bar:
        bar.show(0, of=len(report.broken_posts))
        async with _open_mover(settings, store, database.now) as (mover, pages):
            await repair_rows(
                records,
                mover,
                pages,
                report,
                concurrency=settings.slide_max_concurrent_downloads,
                advance=bar.advance,
            )


@asynccontextmanager
async def _open_mover(
    settings: Settings, store: SlideStore, now: Callable[[], datetime]
) -> AsyncIterator[tuple[SlideMover, Pages]]:
    async with TikTokClient(
        settings, keep_unreadable_in=settings.unreadable_pages_dir, now=now
    ) as client:
        pages = Pages(partial(client.fetch_post, is_photo=True, with_followers=False))
        async with open_slide_mover(
            settings, store, now=now, refresh=pages.fetch, cookies=client.cookies
        ) as mover:
            yield mover, pages


def _row(slide: BrokenSlide) -> str:
    where = f"{slide.tiktok_id}, slide {slide.slide_number}"
    if slide.problem == "no_object":
        return f"{where}: no object {slide.storage_path}"
    size = "an unknown size" if slide.object_size is None else f"{slide.object_size} bytes"
    return f"{where}: {slide.storage_path} has {size}, the row says {slide.file_size}"


def _object(found: BucketObject) -> str:
    size = "unknown size" if found.size is None else f"{found.size} bytes"
    return f"{found.name} ({size}, {found.stored_at:%Y-%m-%d %H:%M} UTC)"


def _shown(text: str) -> str:
    """One line for a terminal: uploaded objects may have any name."""
    return truncate(printable(text), _SHOWN_CHARACTERS)
