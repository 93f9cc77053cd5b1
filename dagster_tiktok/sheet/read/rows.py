"""From the cells of a row to what the ledger takes: understood, or reported, never guessed."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from dagster_tiktok.models import RowRequest
from dagster_tiktok.sheet.grid import (
    Cell,
    Grid,
    cell_at,
    cell_text,
    has_no_value,
)
from dagster_tiktok.sheet.read.layout import Layout
from dagster_tiktok.sheet.read.merged_cells import find_hidden_rows
from dagster_tiktok.sheet.read.row_keys import row_key
from dagster_tiktok.sheet.read.row_parser import ParsedRow, unreadable_message
from dagster_tiktok.sheet.read.statuses import (
    FAILED,
    READY,
    SCRAPED,
    parse_status,
    unknown_status_message,
)

__all__ = [
    "FAILED",
    "READY",
    "SCRAPED",
    "RowWarning",
    "SheetRows",
    "parse_status",
    "read_rows",
    "ready_digest",
    "row_key",
]

WarningKind = Literal["value", "row_ignored", "column", "repeated"]
VALUE: WarningKind = "value"
ROW_IGNORED: WarningKind = "row_ignored"
COLUMN: WarningKind = "column"
REPEATED: WarningKind = "repeated"

_SHOWN_ROWS = 5


@dataclass(frozen=True)
class RowWarning:
    """Something a VA should check.

    `kind`: "value", a cell that was not taken; "row_ignored", nothing happens to the row;
    "column", a column that is missing or left alone; "repeated", a post that stands in several
    rows, whose first row's VA, creator and set count. `ready`: the row waits to be scraped.
    """

    row_number: int
    text: str
    kind: WarningKind = VALUE
    ready: bool = False

    def __str__(self) -> str:
        # A column has no row, and a post in several rows names them.
        return (
            self.text if self.kind in (COLUMN, REPEATED) else f"{self.text} (row {self.row_number})"
        )


@dataclass(frozen=True)
class SheetRows:
    """What the sheet asks for.

    `ready` holds each source key once. `ready_rows` counts the rows behind them, `filled_rows`
    all rows below the header that hold anything.
    """

    ready: tuple[RowRequest, ...]
    warnings: tuple[RowWarning, ...]
    ready_rows: int
    filled_rows: int

    @property
    def attention(self) -> tuple[RowWarning, ...]:
        """The warnings that every report names: rows that nothing happens to, and columns."""
        return tuple(warning for warning in self.warnings if warning.kind != VALUE)


def read_rows(grid: Grid, layout: Layout, timezone: tzinfo) -> SheetRows:
    """Every ready row as a request with all its problems; rows with one key become one request."""
    by_key: dict[str, list[int]] = {}
    unknown: dict[str, list[int]] = {}
    computing: list[int] = []
    filled = 0
    states = _StatusCache()
    for number, row in enumerate(grid.rows[layout.header_row :], start=layout.header_row + 1):
        status = cell_at(row, layout["Status"])
        state = states.parse(status)
        if state == READY:
            by_key.setdefault(row_key(row, layout), []).append(number)
        elif state is None and has_no_value(status):
            computing.append(number)
        elif state is None:
            unknown.setdefault(cell_text(status), []).append(number)
        # The first is quick, but takes a 0 for nothing.
        filled += any(row) or any(cell not in ("", None) for cell in row)
    warnings = [RowWarning(layout.header_row, text, COLUMN) for text in layout.warnings]
    scraped = _find_scraped_rows(grid, layout, states, by_key)
    with _garbage_collection_paused():
        requests = [
            _request(
                key,
                [ParsedRow(number, grid.row(number), layout, timezone) for number in numbers],
                warnings,
                first=first,
            )
            for key, numbers in by_key.items()
            for first in [
                ParsedRow(scraped[key], grid.row(scraped[key]), layout, timezone)
                if key in scraped
                else None
            ]
        ]
    ready = [request for request in requests if request is not None]
    warnings.extend(
        RowWarning(numbers[0], unknown_status_message(text, _also(numbers)), ROW_IGNORED)
        for text, numbers in unknown.items()
    )
    warnings.extend(
        RowWarning(number, text, ROW_IGNORED) for number, text in find_hidden_rows(grid, layout)
    )
    if computing:
        text = unreadable_message(grid.row(computing[0]), layout) + _also(computing)
        warnings.append(RowWarning(computing[0], text, ROW_IGNORED))
    return SheetRows(tuple(ready), tuple(warnings), sum(map(len, by_key.values())), filled)


def _find_scraped_rows(
    grid: Grid, layout: Layout, states: _StatusCache, keys: Container[str]
) -> dict[str, int]:
    """Of the ready posts, those that are in a `Scraped` row too: the first such row of each."""
    found: dict[str, int] = {}
    for number, row in enumerate(grid.rows[layout.header_row :], start=layout.header_row + 1):
        if states.parse(cell_at(row, layout["Status"])) == SCRAPED:
            key = row_key(row, layout)
            if key in keys and not key.startswith("row:"):
                found.setdefault(key, number)
    return found


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pauses garbage collection: all objects made here are kept, without cycles, and walking them
    again and again takes a third of the time for a sheet whose rows are all ready."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def ready_digest(rows: Iterable[RowRequest]) -> str:
    """A sha256 that changes when, and only when, what is ready changes; order does not matter."""
    entries = sorted(
        json.dumps([row.source_key, row.details.model_dump(mode="json"), row.problems])
        for row in rows
    )
    return hashlib.sha256("\n".join(entries).encode()).hexdigest()


class _StatusCache:
    """`status_of`, remembered: a large sheet holds few different statuses."""

    def __init__(self) -> None:
        self._known: dict[Cell, str | None] = {}

    def parse(self, value: Cell) -> str | None:
        if value not in self._known:
            self._known[value] = parse_status(value)
        return self._known[value]


def _request(
    key: str,
    readings: Sequence[ParsedRow],
    warnings: list[RowWarning],
    *,
    first: ParsedRow | None,
) -> RowRequest | None:
    """The request of the rows with one key; None while no row of them can be read.

    Arguments:
        first: the row that brought the post before, if it is not one of them: what it says counts.
    """
    readable = [reading for reading in readings if not reading.unreadable]
    if not readable:
        numbers = [reading.number for reading in readings]
        text = f"{readings[0].unreadable}{_also(numbers)}"
        warnings.append(RowWarning(numbers[0], text, ROW_IGNORED, ready=True))
        return None
    for reading in readable:
        warnings.extend(RowWarning(reading.number, text, ready=True) for text in reading.warnings)
    # Of several rows with one link, the first valid one counts.
    chosen = next((reading for reading in readable if not reading.problems), readable[0])
    details = chosen.details
    counts = first if first is not None and not first.unreadable else chosen
    if len(readings) > 1:
        details = details.model_copy(update={"copies": len(readings)})
    # Rows without a link are invalid anyway, whatever their dates are.
    differ = any(reading.details != chosen.details for reading in readable)
    if counts is first or (details.va_url and differ):
        warnings.extend(_repeated(counts, readings, chosen))
    if counts is first:
        details = details.model_copy(
            update=counts.details.model_dump(exclude={"copies", "va_url"}, exclude_none=True)
        )
    return RowRequest(
        source_key=key,
        row_number=chosen.number,
        details=details,
        tiktok_id=chosen.tiktok_id,
        problems=tuple(chosen.problems),
    )


def _repeated(
    counts: ParsedRow, readings: Sequence[ParsedRow], chosen: ParsedRow
) -> Iterator[RowWarning]:
    """Which of the rows with one post counts, and what is wrong in those that do not."""
    numbers = sorted({counts.number, *(reading.number for reading in readings)})
    named = [str(number) for number in numbers[:_SHOWN_ROWS]]
    if len(numbers) > _SHOWN_ROWS:
        named.append(f"{len(numbers) - _SHOWN_ROWS:,} more")
    listed = f"{', '.join(named[:-1])} and {named[-1]}"
    which = "came first" if counts.number == numbers[0] else "is the first that can be used"
    yield RowWarning(
        readings[0].number,
        f"rows {listed} hold the same post: VA, Creator, Set ID, Type and Date of row "
        f"{counts.number} count, which {which}",
        REPEATED,
        ready=True,
    )
    for reading in readings:
        if reading is chosen or reading.unreadable:
            continue
        for problem in reading.problems:
            text = f"{problem}; the value in row {counts.number} is used instead"
            yield RowWarning(reading.number, text, VALUE, ready=True)


def _also(numbers: Sequence[int]) -> str:
    rest = len(numbers) - 1
    if not rest:
        return ""
    return f", also in row {numbers[1]}" if rest == 1 else f", also in {rest:,} more rows"
