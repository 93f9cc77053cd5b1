"""Reads the sheets and opens a unit for each ready row."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

from dagster_tiktok.database.ledger import Ledger, OpenResult
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.rows import SheetRows, read_rows
from dagster_tiktok.sheet.urls import SheetUrl
from dagster_tiktok.stages.isolation import Errors, collect_failure
from dagster_tiktok.stages.timing import timed

CHUNK = 500
SHOWN_WARNINGS = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SheetOpening:
    """What was read from one sheet and which units it opened. `tab` is the tab's title."""

    sheet: SheetUrl
    tab: str
    rows: SheetRows
    units: OpenResult


@dataclass
class OpenReport:
    """`failed`: why a sheet could not be read, by the sheet's name."""

    sheets: list[SheetOpening] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def units(self) -> OpenResult:
        return _sum([sheet.units for sheet in self.sheets])


async def open_ready_rows(
    ledger: Ledger,
    clients: Sequence[SheetClient],
    *,
    timezone: tzinfo,
    report: OpenReport | None = None,
) -> OpenReport:
    """Reads each tab in one call and opens a slot-0 unit for each ready row.

    A sheet that cannot be read does not affect the others.

    Arguments:
        timezone: the time zone of the dates in the sheets.
        report: filled in while the stage works, for whoever needs it however the stage ends.

    Raises:
        ConfigurationError: no sheet can be read: not found, not shared, or a column is missing.
        ServiceUnavailableError: Google or the database does not respond. A failed read is not an
            empty sheet.
    """
    report = report or OpenReport()
    errors: Errors = {}
    with timed(report):
        for client in clients:
            name = client.sheet.name
            read_at = (await ledger.clock()).now
            with collect_failure(name, errors, log, f"sheet_rows: {name} cannot be read"):
                grid = await asyncio.to_thread(client.read, merges=True)
                rows = read_rows(grid, find_layout(grid), timezone)
            if name in errors:
                report.failed[name] = failure_reason(client.sheet, errors[name])
                continue
            _log_warnings(client.sheet, rows)
            units = _sum(
                [
                    await ledger.open_units(
                        rows.ready[start : start + CHUNK],
                        source=client.sheet.source,
                        read_at=read_at,
                    )
                    for start in range(0, len(rows.ready), CHUNK)
                ]
            )
            report.sheets.append(SheetOpening(client.sheet, grid.title, rows, units))
            log.info(
                "sheet_rows: %s: %d rows read, %d ready (%d with problems): "
                "%d opened, %d already open",
                name,
                rows.filled_rows,
                len(rows.ready),
                sum(bool(row.problems) for row in rows.ready),
                units.opened + units.reopened,
                units.already_open + units.updated,
            )
    raise_if_none(report.sheets, errors)
    return report


def raise_if_none(
    done: Sequence[object], errors: Mapping[str, ConfigurationError | ServiceUnavailableError]
) -> None:
    """Raises if every sheet failed: there is no other one to go on with."""
    if done or not errors:
        return
    if len(errors) == 1:
        raise next(iter(errors.values()))
    text = "; ".join(f"{name}: {_without_variable(str(e))}" for name, e in errors.items())
    wrong = all(isinstance(error, ConfigurationError) for error in errors.values())
    raise (ConfigurationError if wrong else ServiceUnavailableError)(text)


def failure_reason(sheet: SheetUrl, error: Exception) -> str:
    """Why a sheet failed, to follow its name, which already contains the variable's name."""
    return str(error) if sheet.of == 1 else _without_variable(str(error))


def _without_variable(text: str) -> str:
    return text.removeprefix("GOOGLE_SHEET_URL: ")


def _sum(parts: Sequence[OpenResult]) -> OpenResult:
    return OpenResult(
        opened=sum(part.opened for part in parts),
        reopened=sum(part.reopened for part in parts),
        updated=sum(part.updated for part in parts),
        already_open=sum(part.already_open for part in parts),
    )


def _log_warnings(sheet: SheetUrl, rows: SheetRows) -> None:
    where = "" if sheet.of == 1 else f"{sheet.name}: "
    for warning in rows.warnings[:SHOWN_WARNINGS]:
        log.warning("sheet_rows: %s%s", where, warning)
    if len(rows.warnings) > SHOWN_WARNINGS:
        log.warning(
            "sheet_rows: %sand %d more warnings", where, len(rows.warnings) - SHOWN_WARNINGS
        )
