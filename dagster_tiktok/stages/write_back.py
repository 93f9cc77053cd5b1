"""Writes back to the sheets: each row gets the outcome of its unit, in one call per sheet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from dagster_tiktok.database.ledger import Ledger
from dagster_tiktok.models import Metrics, Post, Unit
from dagster_tiktok.sheet.client import SheetClient, WriteReport
from dagster_tiktok.sheet.urls import SheetUrl
from dagster_tiktok.sheet.write.plan import Conflict, RowOutcome
from dagster_tiktok.stages.claims import Claims, ClaimScope
from dagster_tiktok.stages.isolation import Errors, collect_failure
from dagster_tiktok.stages.open_rows import failure_reason, raise_if_none
from dagster_tiktok.stages.timing import timed
from dagster_tiktok.text import counted

CLAIM_CHUNK = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SheetWriteBack:
    sheet: SheetUrl
    written: WriteReport


@dataclass
class WriteBackReport:
    """`daily_scrapes` counts daily units, which end here without a write to a sheet. `failed`: why
    a sheet could not be written, by the sheet's name; a later run writes its rows."""

    sheets: list[SheetWriteBack] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    daily_scrapes: int = 0
    seconds: float = 0.0

    def total(self, count: Callable[[WriteReport], int]) -> int:
        """The sum of `count` over the reports of all sheets."""
        return sum(count(sheet.written) for sheet in self.sheets)


async def write_back_due(
    ledger: Ledger,
    clients: Sequence[SheetClient],
    scope: ClaimScope,
    *,
    report: WriteBackReport | None = None,
) -> WriteBackReport:
    """Writes the outcomes of all persisted units into their rows and ends the units.

    If a waiting row cannot be written (its status is protected or computed), its unit stays: every
    later run tries to write it back, and none scrapes the post again.

    Each sheet is written in one call, whatever happens to the others.

    If the process is killed after the write, the next run writes nothing: a row that already holds
    the values counts as written.

    Arguments:
        report: filled in while the stage works, for whoever needs it however the stage ends.

    Raises:
        ServiceUnavailableError, ConfigurationError: the database, or every sheet, can't be reached.
    """
    report = report or WriteBackReport()
    with timed(report):
        rows: dict[str, list[Unit]] = {}
        daily: dict[int, str | None] = {}
        claims = Claims(ledger, "persisted", scope.without_limit(), chunk=CLAIM_CHUNK)
        async for chunk in claims.chunks():
            for unit in chunk:
                if unit.source is None:
                    daily[unit.id] = None
                else:
                    rows.setdefault(unit.source, []).append(unit)
        if daily:
            await ledger.finish(daily)
        report.daily_scrapes = len(daily)
        errors: Errors = {}
        loop = asyncio.get_running_loop()

        def written_before(found: Collection[str], writing: Collection[str]) -> Collection[str]:
            query = ledger.written_errors(found, writing)
            return asyncio.run_coroutine_threadsafe(query, loop).result()

        for client in clients:
            # Rows that could not be written before come last: finding the cells that block them
            # must not use up the writes that the others need.
            units = sorted(
                rows.get(client.sheet.source, []), key=lambda u: u.unanswered_since is not None
            )
            name = client.sheet.name
            with collect_failure(name, errors, log, f"sheet_status: {name} cannot be written"):
                written = await asyncio.to_thread(
                    client.write_outcomes, map(_outcome, units), written_before
                )
            if name in errors:
                report.failed[name] = failure_reason(client.sheet, errors[name])
                continue
            if units:
                await _finish(ledger, units, written.conflicts)
            report.sheets.append(SheetWriteBack(client.sheet, written))
            if not units:
                continue  # nothing to write: maybe the sheet could not be read
            log.info(
                "sheet_status: %s: %s written, %d already written, %s, %s",
                client.sheet.name,
                counted(len(written.written), "row"),
                len(written.already),
                counted(len(written.conflicts), "conflict"),
                counted(written.cells, "cell"),
            )
    raise_if_none(report.sheets, errors)
    return report


async def _finish(ledger: Ledger, units: Sequence[Unit], conflicts: Sequence[Conflict]) -> None:
    notes: dict[str, list[str]] = {}
    for conflict in conflicts:
        notes.setdefault(conflict.source_key, []).append(conflict.text)
    waiting = {conflict.source_key for conflict in conflicts if conflict.waits}
    await ledger.finish(
        {unit.id: "; ".join(notes.get(unit.source_key, ())) or None for unit in units},
        waiting={unit.id for unit in units if unit.source_key in waiting},
    )


def _slide_count(post: Post) -> int | None:
    # A source without metrics has no slides either: then their number is unknown, not 0.
    return len(post.slides) if post.slides or post.metrics != Metrics() else None


def _outcome(unit: Unit) -> RowOutcome:
    if unit.details is None or unit.outcome not in ("scraped", "unavailable"):
        raise ValueError(f"unit {unit.id} of a row has no row or no outcome")
    post = unit.post
    return RowOutcome(
        source_key=unit.source_key,
        copies=unit.details.copies,
        outcome=unit.outcome,
        reason=unit.error,
        metrics=post.metrics if post else None,
        slide_count=_slide_count(post) if post else None,
        scraped_at=post.scraped_at if post else None,
    )
