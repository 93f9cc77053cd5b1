"""The link under a cell that shows a text: `HYPERLINK`, a smart chip, a link's title.

The values of a tab hold only what such a cell shows, and ten rows that say `Watch` would be one
row to the pipeline. So each reading puts the link into the place of the text, with one call more
for those cells alone, and all later code knows the row by its link.
https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets/cells#CellData
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.net.retry import TransientError
from dagster_tiktok.sheet.api.errors import UnknownRangeError, unexpected_format_error
from dagster_tiktok.sheet.grid import (
    Cell,
    Grid,
    LinkedCell,
    UnreadLink,
    cell_at,
    cell_text,
    has_no_value,
)
from dagster_tiktok.sheet.read.layout import Layout, find_layout
from dagster_tiktok.sheet.read.statuses import READY, parse_status
from dagster_tiktok.sheet.write.ranges import grid_range
from dagster_tiktok.tiktok.links.post_links import PostUrlError, parse_post_link

FIELDS = (
    "sheets(properties.sheetId,data(startRow,startColumn,"
    "rowData.values(hyperlink,chipRuns.chip.richLinkProperties.uri)))"
)
MAX_RANGES = 100
"""Of one call."""

_READINGS = 3
# The form of nearly every cell: parsing each one takes seconds in a large sheet.
_PLAIN = re.compile(
    r"https://(?:(?:www|m)\.tiktok\.com/@[\w.-]{1,64}/(?:video|photo)/[1-9][0-9]{18}"
    r"(?:\?[\w=&.%-]*)?|(?:v[mt]\.tiktok\.com|www\.tiktok\.com/t)/[\w-]{9,64}/?)\Z",
    re.ASCII,
)
_WEB = re.compile(r"(?i)https?://")
log = logging.getLogger(__name__)


class Calls(Protocol):
    """The two calls that a reading needs, each one request, retried."""

    def values(self) -> Grid: ...
    def cells(self, ranges: Sequence[Mapping[str, int]], fields: str) -> Any: ...


class LinkReader:
    """Reads a tab's values with the links under its cells; for one write or one read of rows.

    All readings of one reader see the same keys: where the first call for links fails, none is
    made later, and the cells stay `UnreadLink`; where a later one fails, the reading does.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._has_read = False
        self._gave_up = False

    def read(self, *, for_ready_rows: bool = False) -> Grid:
        """One read request, and two more where cells show a text: the links, the values again.

        Arguments:
            for_ready_rows: ask only where a ready row has such a cell.

        Raises:
            TransientError, ServiceUnavailableError, ConfigurationError: the values can't be read or
                links that an earlier reading had.
        """
        grid = self._calls.values()
        for _ in range(_READINGS):
            rows = _rows_to_ask(grid, for_ready_rows=for_ready_rows)
            if rows is None:
                return grid
            layout, numbers = rows
            if self._gave_up:
                return _unread(grid, layout, numbers)
            column = layout["Post URL"]
            try:
                response = self._calls.cells(
                    [
                        grid_range(first, column, last, column)
                        for first, last in group_rows(numbers, MAX_RANGES)
                    ],
                    FIELDS,
                )
                links = parse_links(response, column)
            except UnknownRangeError:
                # The tab was renamed or cut since its values were read.
                grid = self._calls.values()
                continue
            except (TransientError, ServiceUnavailableError, ConfigurationError) as error:
                if self._has_read:
                    raise
                self._gave_up = True
                log.warning("sheet: the links under %d cells: %s", len(numbers), error)
                return _unread(grid, layout, numbers)
            again = self._calls.values()
            # Rows that show the same texts can change places without a trace in those texts.
            if all(
                _stable_cells(grid.row(number)) == _stable_cells(again.row(number))
                for number in numbers
            ):
                self._has_read = True
                return _with_links(grid, column, {n: links.get(n, ()) for n in numbers})
            grid = again
        raise TransientError("The rows of the sheet moved each time they were read")


def _rows_to_ask(grid: Grid, *, for_ready_rows: bool) -> tuple[Layout, list[int]] | None:
    """The rows whose `Post URL` holds a text that names no post.

    Also rows without a status: one that a write hits by mistake must keep its key.
    """
    try:
        layout = find_layout(grid, left_alone=frozenset())
    except ConfigurationError:
        return None  # Who asked for the grid looks for the header too, and tells what is wrong.
    url, status = layout["Post URL"], layout["Status"]
    numbers, ready = [], False
    for number, row in enumerate(grid.rows[layout.header_row :], start=layout.header_row + 1):
        text = cell_at(row, url)
        if text != "" and not has_no_value(text) and not _names_a_post(text):
            numbers.append(number)
            ready = ready or parse_status(cell_at(row, status)) == READY
    return (layout, numbers) if numbers and (ready or not for_ready_rows) else None


def _names_a_post(value: Cell) -> bool:
    text = cell_text(value)
    if _PLAIN.match(text):
        return True
    try:
        parse_post_link(text)
    except PostUrlError:
        return False
    return True


def group_rows(numbers: Sequence[int], most: int) -> list[tuple[int, int]]:
    """At most `most` spans, first and last included, that hold all of the ascending numbers."""
    gaps = sorted(after - before for before, after in pairwise(numbers))
    # The smallest gaps are closed, until few enough are left.
    closed = max([1, *gaps[: max(0, len(gaps) - most + 1)]])
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number - found[-1][1] <= closed:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found


def parse_links(response: Any, column: int) -> dict[int, tuple[str, ...]]:
    """The links under the cells of a column, by row, from a `spreadsheets.get` of one tab.

    Raises:
        ServiceUnavailableError: another form than Google documents.
    """
    found: dict[int, tuple[str, ...]] = {}
    try:
        for sheet in response["sheets"]:
            for block in sheet.get("data", []):
                if block.get("startColumn", 0) != column:
                    raise ValueError("another column than was asked for")
                for number, row in enumerate(
                    block.get("rowData", []), start=block.get("startRow", 0) + 1
                ):
                    for cell in row.get("values", [])[:1]:
                        found[number] = tuple(dict.fromkeys(_cell_links(cell)))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise unexpected_format_error() from None
    return found


def _cell_links(cell: Mapping[str, Any]) -> Iterable[str]:
    links = [cell.get("hyperlink")]
    for run in cell.get("chipRuns", []):
        links.append(run.get("chip", {}).get("richLinkProperties", {}).get("uri"))
    return (link for link in links if isinstance(link, str) and _WEB.match(link))


def _intended_link(shown: Cell, links: Sequence[str]) -> str | None:
    """The one link that is meant; None where the cell says as much itself, or it is not clear."""
    posts = [link for link in links if _names_a_post(link)]
    meant = posts or links
    if len(meant) != 1 or meant[0] in cell_text(shown):
        return None
    return meant[0]


def _with_links(grid: Grid, column: int, links: Mapping[int, Sequence[str]]) -> Grid:
    def cell(number: int, value: Cell) -> Cell:
        link = _intended_link(value, links[number])
        return value if link is None else LinkedCell(link, value)

    return _replaced(grid, column, links, cell)


def _unread(grid: Grid, layout: Layout, numbers: Sequence[int]) -> Grid:
    return _replaced(
        grid, layout["Post URL"], numbers, lambda _, value: UnreadLink(cell_text(value))
    )


def _replaced(
    grid: Grid, column: int, numbers: Iterable[int], new: Callable[[int, Cell], Cell]
) -> Grid:
    rows = list(grid.rows)
    for number in numbers:
        row = list(rows[number - 1])
        row[column] = new(number, row[column])
        rows[number - 1] = row
    return replace(grid, rows=rows)


def _stable_cells(row: Sequence[Cell]) -> list[Cell]:
    """The row without what changes at each reading: `NOW()` and `RAND()` are fractions."""
    return [None if isinstance(value, float) else value for value in row]
