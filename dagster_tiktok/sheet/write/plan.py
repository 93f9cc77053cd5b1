"""Which cells an outcome changes: rows are found by what stands in them, never by their number.

Between the reading of the rows and the write, people sort, insert, delete and edit. So the tab is
read again right before the write, and a row is written only if it is still there, as often as
before, and still ready. Everything else is a conflict: reported, not overwritten.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Literal, TypeAlias

from dagster_tiktok.models import FrozenModel, Metrics
from dagster_tiktok.sheet.grid import Cell, Grid, UnreadLink, cell_at, cell_text
from dagster_tiktok.sheet.read.layout import WRITTEN_IF_PRESENT, Layout, find_layout
from dagster_tiktok.sheet.read.rows import FAILED, READY, SCRAPED, parse_status, row_key
from dagster_tiktok.text import counted, quoted, truncate

Value: TypeAlias = "str | int"

_MAX_REASON_CHARACTERS = 500
_NAMED_ROWS = 3
# Spreadsheet programs run text that begins with one of these, full-width forms included, when it
# comes in through a file (CWE-1236). Sheets shows the apostrophe; a reader of the cell sees why.
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class RowOutcome(FrozenModel):
    """What is to be written for one source key. What is None is not known and left alone."""

    source_key: str
    copies: int = 1
    """How many ready rows held the key when they were read."""
    outcome: Literal["scraped", "unavailable"]
    reason: str | None = None
    """For `Error`; without one `Error` is cleared."""
    metrics: Metrics | None = None
    slide_count: int | None = None
    scraped_at: datetime | None = None


@dataclass(frozen=True)
class Conflict:
    """Why the rows of a key were not written; `text` continues a message that names the row.

    `written`: they were written all the same, but a VA should check them. `waits`: the row is
    still ready, and the next run tries again.
    """

    source_key: str
    text: str
    written: bool = False
    waits: bool = False


@dataclass(frozen=True)
class RowWrite:
    """The cells of one row, by header, as they should be."""

    source_key: str
    row_number: int
    cells: Mapping[str, Value]

    def without(self, names: Container[str]) -> RowWrite:
        """The same row with the cells under these headers left alone."""
        kept = {name: value for name, value in self.cells.items() if name not in names}
        return replace(self, cells=kept)


@dataclass(frozen=True)
class CellWrite:
    """One cell. The row counts from 1, the column from 0."""

    row_number: int
    column: int
    value: Cell
    typed: bool = False
    """A formula that is restored: to be written as if it was typed."""


@dataclass(frozen=True)
class WritePlan:
    """What to write, on the grid that it was planned on."""

    grid: Grid
    layout: Layout
    writes: tuple[RowWrite, ...]
    already: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    restores: tuple[CellWrite, ...] = ()
    """Cells of other rows that an earlier write overwrote because rows moved meanwhile."""

    def cells(self) -> list[CellWrite]:
        """Every cell to be written."""
        return [
            CellWrite(write.row_number, self.layout[name], value)
            for write in self.writes
            for name, value in write.cells.items()
        ] + list(self.restores)


def plan_writeback(
    grid: Grid,
    outcomes: Iterable[RowOutcome],
    timezone: tzinfo,
    left_alone: frozenset[str] = frozenset(),
) -> WritePlan:
    """Decides for each outcome: written, already written, or a conflict.

    Arguments:
        grid: read just now.
        outcomes: one a source key.
        timezone: in which `Scraped At` is written.
        left_alone: columns that hold what the team wrote, besides those whose cells show it.

    Raises:
        ConfigurationError: the tab no longer has the columns.
    """
    layout = find_layout(grid).without(left_alone)
    outcomes = list(outcomes)
    rows_of = rows_by_key(grid, layout, {outcome.source_key for outcome in outcomes})
    unread = _links_unread(grid, layout)
    writes: list[RowWrite] = []
    already: list[str] = []
    conflicts: list[Conflict] = []
    for outcome in outcomes:
        key, rows = outcome.source_key, rows_of.get(outcome.source_key, [])
        states = {number: _status(grid, layout, number) for number in rows}
        waiting = [number for number, state in states.items() if state == READY]
        target = SCRAPED if outcome.outcome == "scraped" else FAILED
        if not rows:
            gone = unread or "the row is gone from the sheet"
            conflicts.append(Conflict(key, gone, waits=bool(unread)))
        elif len(waiting) > outcome.copies:
            conflicts.append(Conflict(key, duplicate_message(waiting, outcome.copies), waits=True))
        elif waiting:
            cells = outcome_cells(outcome, layout, timezone)
            writes.extend(RowWrite(key, number, cells) for number in waiting)
            if len(waiting) < outcome.copies:
                conflicts.append(
                    Conflict(key, fewer_rows_message(waiting, outcome.copies), written=True)
                )
        elif all(state == target for state in states.values()):
            already.append(key)
        else:
            changed = next(number for number, state in states.items() if state != target)
            conflicts.append(Conflict(key, status_changed_message(grid, layout, changed)))
    return WritePlan(grid, layout, tuple(writes), tuple(already), tuple(conflicts))


def _links_unread(grid: Grid, layout: Layout) -> str:
    """Why a row may not be found although it is there, "" if nothing speaks for that."""
    column = layout["Post URL"]
    if not any(isinstance(cell_at(row, column), UnreadLink) for row in grid.rows):
        return ""
    return (
        "its row was not found: the links under the texts in Post URL could not be read now; "
        "the next run reads the rows that are still ready again"
    )


def plan_probe(grid: Grid, layout: Layout, rows: Sequence[int]) -> WritePlan:
    """The cells that a run would write into these rows, else into the first data row."""
    names = ("Status", *(name for name in WRITTEN_IF_PRESENT if name in layout))
    cells: dict[str, Value] = dict.fromkeys(names, "")
    numbers = rows or [layout.header_row + 1]
    return WritePlan(grid, layout, tuple(RowWrite("", number, cells) for number in numbers))


def outcome_cells(outcome: RowOutcome, layout: Layout, timezone: tzinfo) -> dict[str, Value]:
    """The outcome as cells by header, for those columns that the tab has."""
    metrics = outcome.metrics or Metrics()
    scraped_at = outcome.scraped_at
    values: dict[str, Value | None] = {
        "Status": SCRAPED if outcome.outcome == "scraped" else FAILED,
        "Error": safe_text(outcome.reason or ""),
        "Scraped At": None if scraped_at is None else _local(scraped_at, timezone),
        "Views": metrics.views,
        "Likes": metrics.likes,
        "Comments": metrics.comments,
        "Shares": metrics.shares,
        "Slides": outcome.slide_count,
    }
    return {name: value for name, value in values.items() if value is not None and name in layout}


def safe_text(text: str) -> str:
    """One line that no spreadsheet program takes for a formula, also not after an export."""
    line = truncate(cell_text(text), _MAX_REASON_CHARACTERS)
    return "'" + line if line.startswith(_FORMULA_STARTS) else line


def rows_by_key(
    grid: Grid, layout: Layout, keys: Container[str] | None = None
) -> dict[str, list[int]]:
    """The numbers of the rows that hold each of the keys; None means every key."""
    found: dict[str, list[int]] = {}
    for number, row in enumerate(grid.rows[layout.header_row :], start=layout.header_row + 1):
        key = row_key(row, layout)
        if keys is None or key in keys:
            found.setdefault(key, []).append(number)
    return found


def same_text(cell: Cell, value: Cell) -> bool:
    """Whether a cell holds the value; a column formatted as text gives numbers as text."""
    return cell_text(cell) == cell_text(value)


def duplicate_message(rows: Sequence[int], expected: int) -> str:
    # The first few: a column filled with one link may be thousands.
    named, rest = list(map(str, rows[:_NAMED_ROWS])), len(rows) - _NAMED_ROWS
    last = named.pop() if rest <= 0 else f"{rest:,} more"
    numbers = f"{', '.join(named)} and {last}"
    return (
        f"its link is now in the ready rows {numbers}, but was in {counted(expected, 'row')} when "
        "the sheet was read"
    )


def fewer_rows_message(rows: Sequence[int], expected: int) -> str:
    were = "was" if len(rows) == 1 else "were"
    return f"only {len(rows):,} of the {expected:,} rows with its link {were} still ready"


def status_changed_message(grid: Grid, layout: Layout, number: int) -> str:
    text = cell_text(cell_at(grid.row(number), layout["Status"]))
    return f"the status was changed to {quoted(text)} (row {number})"


def _local(moment: datetime, timezone: tzinfo) -> str:
    return moment.astimezone(timezone).strftime("%Y-%m-%d %H:%M")


def _status(grid: Grid, layout: Layout, number: int) -> str | None:
    return parse_status(cell_at(grid.row(number), layout["Status"]))
