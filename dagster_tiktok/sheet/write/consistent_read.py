"""The tab's values and what is computed on it, from readings that belong together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from dagster_tiktok.net.retry import TransientError
from dagster_tiktok.sheet.api.errors import UnknownRangeError, unexpected_format_error
from dagster_tiktok.sheet.grid import Cell, Grid
from dagster_tiktok.sheet.read.cell_links import group_rows
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.write.computed_cells import ComputedCells, Place, rows_match
from dagster_tiktok.sheet.write.ranges import grid_range

FIELDS = "sheets(properties.sheetId,data(startRow,startColumn,rowData.values(userEnteredValue)))"
_READINGS = 3
_MAX_SPANS = 100


class Readable(Protocol):
    """The calls that the readings need, each one request, retried."""

    def read_values(self) -> Grid: ...
    def read_formulas(self) -> Grid: ...
    def cells(self, ranges: Sequence[Mapping[str, int]], fields: str) -> Any: ...


def read_computed(
    tab: Readable, written: Callable[[Grid], Iterable[Place]]
) -> tuple[Grid, ComputedCells]:
    """Two read requests, between which no row moved.

    Two more where an array may lie over cells that are to be written: what was entered there,
    which is nothing where a formula of another cell fills them, and the values again.
    https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets/cells#CellData

    Arguments:
        written: the cells that will be written on such a grid.

    Raises:
        TransientError: the rows moved between each two readings.
    """
    for _ in range(_READINGS):
        formulas = tab.read_formulas()
        values = tab.read_values()
        if not rows_match(values, formulas, find_layout(values)):
            continue
        computed = ComputedCells(values, formulas)
        ambiguous = computed.ambiguous(written(values))
        if not ambiguous:
            return values, computed
        try:
            entered = _entered(tab.cells(_ranges(ambiguous), FIELDS))
        except UnknownRangeError:
            # The tab was cut since its values were read.
            continue
        again = tab.read_values()
        if all(
            _stable_cells(values.row(row)) == _stable_cells(again.row(row)) for row, _ in ambiguous
        ):
            return values, computed.with_entered(ambiguous & entered, ambiguous - entered)
    raise TransientError("The rows of the sheet moved each time they were read")


def _ranges(places: Collection[Place]) -> list[dict[str, int]]:
    columns: dict[int, list[int]] = {}
    for row, column in sorted(places):
        columns.setdefault(column, []).append(row)
    return [
        grid_range(first, column, last, column)
        for column, rows in columns.items()
        for first, last in group_rows(rows, _MAX_SPANS)
    ]


def _entered(response: Any) -> set[Place]:
    """The cells that hold what somebody entered, a formula too.

    Raises:
        ServiceUnavailableError: another form than Google documents.
    """
    try:
        return {
            (row, column)
            for sheet in response["sheets"]
            for block in sheet.get("data", [])
            for row, line in enumerate(block.get("rowData", []), start=block.get("startRow", 0) + 1)
            for column, cell in enumerate(line.get("values", []), start=block.get("startColumn", 0))
            if cell.get("userEnteredValue")
        }
    except (KeyError, TypeError, AttributeError):
        raise unexpected_format_error() from None


def _stable_cells(row: Sequence[Cell]) -> list[Cell]:
    """The row without what changes at each reading: `NOW()` and `RAND()` are fractions."""
    return [None if isinstance(value, float) else value for value in row]
