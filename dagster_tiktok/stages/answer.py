"""Answering the sheet: each row gets the outcome of its look, in one call."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from dagster_tiktok.ledger import Ledger
from dagster_tiktok.models import Metrics, Post, Unit
from dagster_tiktok.sheet.client import SheetClient, WriteReport
from dagster_tiktok.sheet.writeback import RowOutcome
from dagster_tiktok.stages.claims import Claims, Due

CLAIM_CHUNK = 500

log = logging.getLogger(__name__)


@dataclass
class AnswerReport:
    """`looks` are daily looks, which end here without a word in the sheet."""

    sheet: WriteReport
    looks: int = 0
    seconds: float = 0.0


async def answer_due(ledger: Ledger, sheet: SheetClient, due: Due) -> AnswerReport:
    """Writes the outcomes of all persisted units into their rows and ends the units.

    A process that is killed after the write and before the end writes nothing the second time:
    a row that already says what we would write counts as answered.

    Raises:
        ServiceUnavailable, ConfigurationError: the sheet or the database can't be reached.
    """
    started = time.monotonic()
    rows: list[Unit] = []
    looks: dict[int, str | None] = {}
    claims = Claims(ledger, "persisted", due.without_limit(), chunk=CLAIM_CHUNK)
    async for chunk in claims.chunks():
        rows.extend(unit for unit in chunk if unit.slot == 0)
        looks.update({unit.id: None for unit in chunk if unit.slot > 0})
    written = await asyncio.to_thread(sheet.write_outcomes, [_outcome(unit) for unit in rows])
    conflicts = {conflict.source_key: conflict.text for conflict in written.conflicts}
    await ledger.finish({**looks, **{unit.id: conflicts.get(unit.source_key) for unit in rows}})
    report = AnswerReport(written, len(looks), time.monotonic() - started)
    log.info(
        "sheet_status: %d rows written, %d answered already, %d conflicts, %d cells in %.1f s",
        len(written.written),
        len(written.already),
        len(written.conflicts),
        written.cells,
        report.seconds,
    )
    return report


def _slide_count(post: Post) -> int | None:
    # A source that knows no figures knows no slides either: none seen is not none there.
    return len(post.slides) if post.slides or post.metrics != Metrics() else None


def _outcome(unit: Unit) -> RowOutcome:
    if unit.details is None or unit.outcome not in ("scraped", "unavailable"):
        raise ValueError(f"look {unit.id} of a row has no row or no outcome")
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
