"""Reading the sheet and opening a unit for each row that is ready."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import tzinfo

from dagster_tiktok.ledger import Ledger, Opened
from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok.sheet.layout import find_layout
from dagster_tiktok.sheet.rows import SheetRows, read_rows

CHUNK = 500
SHOWN_WARNINGS = 20

log = logging.getLogger(__name__)


@dataclass
class OpenReport:
    """What the sheet held and what became of it."""

    rows: SheetRows
    units: Opened
    seconds: float


async def open_ready(ledger: Ledger, sheet: SheetClient, *, timezone: tzinfo) -> OpenReport:
    """Reads the tab in one call and opens a slot-0 unit for each ready row.

    Arguments:
        timezone: of the dates in the sheet.

    Raises:
        ConfigurationError: the sheet is not there, not shared, or lacks a column.
        ServiceUnavailable: Google or the database does not answer. A failed read is not an
            empty sheet.
    """
    started = time.monotonic()
    read_at = (await ledger.clock()).now
    grid = await asyncio.to_thread(sheet.read)
    rows = read_rows(grid, find_layout(grid), timezone)
    for warning in rows.warnings[:SHOWN_WARNINGS]:
        log.warning("sheet_rows: %s", warning)
    if len(rows.warnings) > SHOWN_WARNINGS:
        log.warning("sheet_rows: and %d more warnings", len(rows.warnings) - SHOWN_WARNINGS)
    total = Opened(opened=0, reopened=0, updated=0, already_open=0)
    for start in range(0, len(rows.ready), CHUNK):
        chunk = rows.ready[start : start + CHUNK]
        opened = await ledger.open_units(chunk, read_at=read_at)
        total = Opened(
            opened=total.opened + opened.opened,
            reopened=total.reopened + opened.reopened,
            updated=total.updated + opened.updated,
            already_open=total.already_open + opened.already_open,
        )
    report = OpenReport(rows, total, time.monotonic() - started)
    log.info(
        "sheet_rows: %d rows read, %d ready (%d with problems): %d opened, %d open already "
        "in %.1f s",
        rows.filled_rows,
        len(rows.ready),
        sum(bool(row.problems) for row in rows.ready),
        total.opened + total.reopened,
        total.already_open + total.updated,
        report.seconds,
    )
    return report
