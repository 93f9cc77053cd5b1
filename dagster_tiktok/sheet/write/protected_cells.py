"""Which of the cells that a run writes are protected, tried without changing a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from dagster_tiktok.sheet.api.errors import ProtectedError
from dagster_tiktok.sheet.write.plan import CellWrite
from dagster_tiktok.sheet.write.ranges import as_ranges

MAX_PROBES = 30
"""Requests of one check: the quota is 60 writes a minute."""

Write = Callable[[Sequence[dict[str, Any]]], None]


@dataclass
class ProtectedCells:
    """The first protected cells. `complete`: no other is; `any_row`: some row can be written."""

    cells: list[CellWrite]
    complete: bool = True
    any_row: bool = False


def find_protected_cells(write: Write, cells: Iterable[CellWrite], status: int) -> ProtectedCells:
    """Tries the cells; those that are rejected together are tried in halves.

    Arguments:
        write: one write request; a null asks for the right to write and leaves the cell alone.
        status: the column of `Status`: a row in which it may be written gets its outcome.

    Raises: what `write` raises, but ProtectedError.
    """
    rows = [
        [replace(cell, value=None) for cell in group]
        for _, group in groupby(
            sorted(cells, key=lambda cell: (cell.row_number, cell.column)),
            key=lambda cell: cell.row_number,
        )
    ]
    found = ProtectedCells([])
    waiting: list[list[list[CellWrite]]] = [rows] if rows else []
    for _ in range(MAX_PROBES):
        if not waiting:
            return found
        part = waiting.pop()
        try:
            write(as_ranges([cell for row in part for cell in row]))
        except ProtectedError:
            waiting += _halves(part) if sum(map(len, part)) > 1 else []
            if sum(map(len, part)) == 1:
                found.cells += part[0]
        else:
            found.any_row |= any(cell.column == status for row in part for cell in row)
    found.complete = not waiting
    return found


def _halves(part: list[list[CellWrite]]) -> list[list[list[CellWrite]]]:
    """The two halves of the rows, or of the cells of one row; the first one comes last."""
    if len(part) == 1:
        (row,) = part
        return [[row[len(row) // 2 :]], [row[: len(row) // 2]]]
    return [part[len(part) // 2 :], part[: len(part) // 2]]
