"""Undoes a write that broke an array by writing into its output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dagster_tiktok.sheet.grid import Grid, cell_at
from dagster_tiktok.sheet.write.arrays import Anchor
from dagster_tiktok.sheet.write.computed_cells import ComputedCells
from dagster_tiktok.sheet.write.plan import CellWrite, Value, WritePlan, same_text


def undo_array_break(
    after: Grid,
    first: WritePlan,
    sent: Sequence[WritePlan],
    broken: Sequence[Anchor],
    computed: ComputedCells,
) -> list[CellWrite]:
    """The cells that undo the write, so that Sheets shows the array again.

    Cells in columns whose content vanished are emptied: they were the array's. The others get
    back what they held.
    """
    vanished = {anchor.column for anchor in broken}
    for number, row in enumerate(first.grid.rows, start=1):
        for column, then in enumerate(row):
            if then not in ("", None) and cell_at(after.row(number), column) == "":
                vanished.add(column)
    cells: dict[tuple[int, int], CellWrite] = {}
    for number, column, value in _iter_sent_cells(sent):
        if same_text(cell_at(after.row(number), column), value):
            old = cell_at(first.grid.row(number), column)
            formula = computed.formula(number, column)
            cells[number, column] = (
                CellWrite(number, column, formula, typed=True)
                if formula
                else CellWrite(number, column, "" if column in vanished else old)
            )
    return list(cells.values())


def _iter_sent_cells(sent: Sequence[WritePlan]) -> Iterator[tuple[int, int, Value]]:
    for plan in sent:
        for write in plan.writes:
            for name, value in write.cells.items():
                yield write.row_number, plan.layout[name], value
