"""Cells as the ranges of one `values.batchUpdateByDataFilter`: neighbours go together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dagster_tiktok.sheet.grid import Cell
from dagster_tiktok.sheet.write.plan import CellWrite


@dataclass
class _Block:
    row: int
    column: int
    values: list[list[Cell]]

    @property
    def width(self) -> int:
        return len(self.values[0])


def as_ranges(cells: Iterable[CellWrite]) -> list[dict[str, Any]]:
    """The `data` of a `values.batchUpdateByDataFilter`, built again for each call.

    The ranges name no tab: the client adds the tab's id, which no renaming changes. Only the
    given cells are in it: nothing is filled in between, so nothing else can be hit.
    """
    blocks: list[_Block] = []
    above: dict[tuple[int, int], _Block] = {}
    for run in _runs(cells):
        block = above.get((run.column, run.width))
        if block is not None and block.row + len(block.values) == run.row:
            block.values.extend(run.values)
        else:
            above[run.column, run.width] = run
            blocks.append(run)
    return [
        {
            "dataFilter": {
                "gridRange": grid_range(
                    block.row,
                    block.column,
                    block.row + len(block.values) - 1,
                    block.column + block.width - 1,
                )
            },
            # Without it Google takes only squares (seen in 2022).
            "majorDimension": "ROWS",
            "values": block.values,
        }
        for block in blocks
    ]


def grid_range(row: int, column: int, end_row: int, end_column: int) -> dict[str, int]:
    """A `GridRange` of a tab. Rows count from 1, columns from 0; both ends are included.

    https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets/other#GridRange
    """
    return {
        "startRowIndex": row - 1,
        "endRowIndex": end_row,
        "startColumnIndex": column,
        "endColumnIndex": end_column + 1,
    }


def _runs(cells: Iterable[CellWrite]) -> list[_Block]:
    """Neighbours in one row, from the top down."""
    runs: list[_Block] = []
    for cell in sorted(cells, key=lambda cell: (cell.row_number, cell.column)):
        last = runs[-1] if runs else None
        if last and last.row == cell.row_number and last.column + last.width == cell.column:
            last.values[0].append(cell.value)
        else:
            runs.append(_Block(cell.row_number, cell.column, [[cell.value]]))
    return runs
