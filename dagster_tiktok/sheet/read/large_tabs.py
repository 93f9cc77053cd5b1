"""A tab that is over the size limit: only the columns that are needed are read.

Two requests: the top rows, which say where the columns are, then those columns in one. What was
not read is blank in the grid, so that every cell keeps its place. The top rows are kept whole:
that is where people put the formulas that fill a tab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dagster_tiktok.net.retry import TransientError
from dagster_tiktok.sheet.api.errors import unexpected_format_error
from dagster_tiktok.sheet.grid import (
    Cell,
    Grid,
    cell_at,
    column_name,
    grids_of_response,
)
from dagster_tiktok.sheet.read.layout import HEADER_SEARCH_ROWS, find_layout

_READINGS = 3

Ask = Callable[[Sequence[Mapping[str, Any]]], Any]
"""Data filters to the response of one `values:batchGetByDataFilter`."""


def read_needed_columns(ask: Ask, gid: int | None, own_headers: Mapping[str, str]) -> Grid:
    """The tab with its top rows whole, and below them only the columns that the pipeline knows.

    Arguments:
        gid: the tab's, None for the first.
        own_headers: `GOOGLE_SHEET_COLUMNS`.

    Raises:
        TooLargeError: these columns are too large as well.
        TransientError: the columns moved between each two requests.
        ConfigurationError: the tab lacks the columns.
    """
    for _ in range(_READINGS):
        ((title, _, top),) = _ranges(ask([_top_rows(gid)]))
        # Which columns hold what the team wrote is not judged here: that needs whole columns.
        layout = find_layout(Grid(title, top, own_headers), left_alone=frozenset())
        spans = _spans(layout.columns.values())
        rows: list[list[Cell]] = [list(row) for row in top]
        for _, start, values in _ranges(ask([_columns(gid, *span) for span in spans])):
            end = next((last for first, last in spans if first == start), None)
            if end is None:
                raise unexpected_format_error()
            _overlay(rows, start, end, values)
        header = layout.header_row - 1
        names = {column: cell_at(top[header], column) for column in layout.columns.values()}
        if len(rows) > header and all(
            cell_at(rows[header], column) == name for column, name in names.items()
        ):
            return Grid(title, rows, own_headers)
    raise TransientError("The columns of the sheet moved each time they were read")


def _overlay(
    rows: list[list[Cell]], start: int, end: int, values: Sequence[Sequence[Cell]]
) -> None:
    """Sets the columns `start` to `end` of all rows; what the values lack is empty."""
    rows.extend([] for _ in range(len(values) - len(rows)))
    width = end - start + 1
    for index, row in enumerate(rows):
        cells = list(values[index]) if index < len(values) else []
        if len(row) > start or cells:
            row.extend([""] * (start - len(row)))
            row[start : end + 1] = cells if len(row) <= end + 1 else _padded(cells, width)


def _padded(cells: list[Cell], width: int) -> list[Cell]:
    return cells + [""] * (width - len(cells))


def _spans(columns: Iterable[int]) -> list[tuple[int, int]]:
    """Neighbouring columns as first and last."""
    spans: list[tuple[int, int]] = []
    for column in sorted(columns):
        if spans and spans[-1][1] == column - 1:
            spans[-1] = (spans[-1][0], column)
        else:
            spans.append((column, column))
    return spans


def _top_rows(gid: int | None) -> dict[str, Any]:
    if gid is None:
        return {"a1Range": f"1:{HEADER_SEARCH_ROWS}"}
    return {"gridRange": {"sheetId": gid, "startRowIndex": 0, "endRowIndex": HEADER_SEARCH_ROWS}}


def _columns(gid: int | None, first: int, last: int) -> dict[str, Any]:
    if gid is None:
        return {"a1Range": f"{column_name(first)}:{column_name(last)}"}
    return {"gridRange": {"sheetId": gid, "startColumnIndex": first, "endColumnIndex": last + 1}}


def _ranges(response: Any) -> list[tuple[str, int, list[list[Cell]]]]:
    """Each range as the tab's title, its first column and its rows, whatever their order."""
    try:
        return grids_of_response(response)
    except ValueError:
        raise unexpected_format_error() from None
