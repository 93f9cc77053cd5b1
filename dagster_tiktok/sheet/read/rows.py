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

from dagster_tiktok.models import RowDetails, RowRequest
from dagster_tiktok.sheet.grid import (
    Cell,
    Grid,
    UnreadLink,
    cell_at,
    cell_text,
    has_no_value,
)
from dagster_tiktok.sheet.read.dates import DateError, parse_date
from dagster_tiktok.sheet.read.layout import WRITTEN_IF_PRESENT, Layout
from dagster_tiktok.sheet.read.merged_cells import find_hidden_rows
from dagster_tiktok.sheet.read.statuses import (
    FAILED,
    READY,
    SCRAPED,
    parse_status,
    unknown_status_message,
)
from dagster_tiktok.text import quoted
from dagster_tiktok.tiktok.links.post_links import (
    MAX_URL_CHARACTERS,
    PostUrlError,
    parse_post_link,
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

MAX_KEY_CHARACTERS = 500
"""A longer key is kept as its hash: it has to fit into a database index."""

MAX_NAME_CHARACTERS = 200
"""Of VA and Creator. They are indexed, and an index entry holds about 2,700 bytes."""

_PASTE_THE_LINK = (
    "; the cell shows a text, even if it can be clicked: paste the post's link itself, without "
    "formatting (Ctrl+Shift+V)"
)
_MAX_SET_ID = 2**31 - 1
_SHOWN_ROWS = 5
_TYPES: dict[str, Literal["NEW", "REPOST"]] = {"NEW": "NEW", "REPOST": "REPOST"}
# Without Date: as a formula (`=NOW()`) it gives another key at every read, so the row would never
# be found again. Rows that share such a key have the same problem, and are answered together.
_KEY_COLUMNS_WITHOUT_URL = ("VA", "Creator", "Set ID", "Type")
_KEY_MARKS = ("row:", "sha256:")


@dataclass(frozen=True)
class RowWarning:
    """Something a VA should look at.

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
        state = states.of(status)
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
                [_Reading(number, grid.row(number), layout, timezone) for number in numbers],
                warnings,
                first=first,
            )
            for key, numbers in by_key.items()
            for first in [
                _Reading(scraped[key], grid.row(scraped[key]), layout, timezone)
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
        text = _unreadable(grid.row(computing[0]), layout) + _also(computing)
        warnings.append(RowWarning(computing[0], text, ROW_IGNORED))
    return SheetRows(tuple(ready), tuple(warnings), sum(map(len, by_key.values())), filled)


def _find_scraped_rows(
    grid: Grid, layout: Layout, states: _StatusCache, keys: Container[str]
) -> dict[str, int]:
    """Of the posts that wait, those that stand in a row that is answered already: the first one."""
    found: dict[str, int] = {}
    for number, row in enumerate(grid.rows[layout.header_row :], start=layout.header_row + 1):
        if states.of(cell_at(row, layout["Status"])) == SCRAPED:
            key = row_key(row, layout)
            if key in keys and not key.startswith("row:"):
                found.setdefault(key, number)
    return found


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Everything that is made here is kept, and nothing refers back: the garbage collector would
    only walk it all, again and again, a third of the time for a sheet whose rows are all ready."""
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


def row_key(row: Sequence[Cell], layout: Layout) -> str:
    """What finds the row again wherever it moves: its address as typed.

    A row without an address is known by what else a person typed into it.
    """
    address = cell_text(cell_at(row, layout["Post URL"]))
    if address:
        # What looks like a key that is computed must not be taken for another row's.
        typed = len(address) <= MAX_KEY_CHARACTERS and not address.startswith(_KEY_MARKS)
        return address if typed else _hashed(address)
    cells = " | ".join(cell_text(_cell(row, layout, name)) for name in _KEY_COLUMNS_WITHOUT_URL)
    key = "row:" + cells
    return key if len(key) <= MAX_KEY_CHARACTERS else "row:" + _hashed(cells)


def _hashed(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class _StatusCache:
    """`status_of`, remembered: a large sheet holds few different statuses."""

    def __init__(self) -> None:
        self._known: dict[Cell, str | None] = {}

    def of(self, value: Cell) -> str | None:
        if value not in self._known:
            self._known[value] = parse_status(value)
        return self._known[value]


def _request(
    key: str,
    readings: Sequence[_Reading],
    warnings: list[RowWarning],
    *,
    first: _Reading | None,
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
    # Of rows with one address the first that is right speaks for all of them.
    chosen = next((reading for reading in readable if not reading.problems), readable[0])
    details = chosen.details
    counts = first if first is not None and not first.unreadable else chosen
    if len(readings) > 1:
        details = details.model_copy(update={"copies": len(readings)})
    # Rows without an address are wrong anyway, whatever their dates are.
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
    counts: _Reading, readings: Sequence[_Reading], chosen: _Reading
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
            text = f"{problem}; what row {counts.number} says counts instead"
            yield RowWarning(reading.number, text, VALUE, ready=True)


class _Reading:
    """One row, understood as far as it can be."""

    __slots__ = ("details", "number", "problems", "tiktok_id", "unreadable", "warnings")

    def __init__(self, number: int, row: Sequence[Cell], layout: Layout, timezone: tzinfo) -> None:
        self.number = number
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.tiktok_id: str | None = None
        self.unreadable = _unreadable(row, layout)
        address = cell_text(cell_at(row, layout["Post URL"]))
        self._read_url(address)
        set_id = self._set_id(_cell(row, layout, "Set ID")) if "Set ID" in layout else None
        post_type = (
            self._post_type(cell_text(_cell(row, layout, "Type"))) if "Type" in layout else None
        )
        created = None
        try:
            created = (
                parse_date(cell_at(row, layout["Date"]), timezone) if "Date" in layout else None
            )
        except DateError as error:
            self.warnings.append(str(error))
        self.details = RowDetails(
            va_url=address[:MAX_URL_CHARACTERS],
            va=self._named("VA", row, layout),
            creator=self._named("Creator", row, layout),
            set_id=set_id,
            post_type=post_type,
            created_date=created,
        )

    def _read_url(self, address: str) -> None:
        if not address:
            self.problems.append("Post URL is empty")
            return
        try:
            self.tiktok_id = parse_post_link(address).tiktok_id
        except PostUrlError as error:
            # A link's title or a smart chip: the VA sees something to click, we get its text.
            shows_no_link = not any(mark in address for mark in "/.")
            self.problems.append(f"{error}{_PASTE_THE_LINK if shows_no_link else ''}")

    def _set_id(self, value: Cell) -> int | None:
        # No grouping, sign or exponent: "1,234" may be 1234, 1.234 or two ids.
        text = cell_text(value)
        if not text:
            self.problems.append("Set ID is empty")
        elif isinstance(value, bool) or not (text.isascii() and text.isdigit()):
            self.problems.append(f"Set ID must be a whole number: {quoted(text)}")
        elif len(text) > 10 or int(text) > _MAX_SET_ID:
            self.problems.append(f"Set ID is too large: {quoted(text)}")
        else:
            return int(text)
        return None

    def _post_type(self, text: str) -> Literal["NEW", "REPOST"] | None:
        post_type = _TYPES.get(text.upper())
        if post_type is not None:
            return post_type
        problem = f"Type must be NEW or REPOST: {quoted(text)}" if text else "Type is empty"
        self.problems.append(problem)
        return None

    def _named(self, name: str, row: Sequence[Cell], layout: Layout) -> str | None:
        text = cell_text(_cell(row, layout, name))
        if name not in layout:
            return None
        if not text:
            self.warnings.append(f"{name} is empty")
        elif len(text) > MAX_NAME_CHARACTERS:
            self.warnings.append(
                f"{name} is cut to {MAX_NAME_CHARACTERS} characters: {quoted(text)}"
            )
        return text[:MAX_NAME_CHARACTERS] or None


def _unreadable(row: Sequence[Cell], layout: Layout) -> str:
    """Which cell of the row holds a formula's error or is still loading, "" if none does."""
    for name, column in layout.columns.items():
        if name not in WRITTEN_IF_PRESENT and has_no_value(value := cell_at(row, column)):
            if isinstance(value, UnreadLink):
                return (
                    f"{name} shows the text {quoted(cell_text(value))}, and whether a link is "
                    "under it could not be read now; the row stays as it is and is read again by "
                    "the next run: to be independent of that, paste the post's link itself"
                )
            return (
                f"{name} shows {quoted(cell_text(value))} now; the row stays as it is and is read "
                "again by the next run: if it lasts, correct the cell's formula"
            )
    return ""


def _cell(row: Sequence[Cell], layout: Layout, name: str) -> Cell:
    """What a row holds in a column, "" where the tab has no such column."""
    return cell_at(row, layout[name]) if name in layout else ""


def _also(numbers: Sequence[int]) -> str:
    rest = len(numbers) - 1
    if not rest:
        return ""
    return f", also in row {numbers[1]}" if rest == 1 else f", also in {rest:,} more rows"
