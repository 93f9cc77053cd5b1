"""After a write that hit what it must not: an array's output, or the header row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dagster_tiktok.sheet.arrays import Anchor
from dagster_tiktok.sheet.formulas import Computed
from dagster_tiktok.sheet.grid import Grid, cell_at, cell_text
from dagster_tiktok.sheet.layout import HEADER_SEARCH_ROWS
from dagster_tiktok.sheet.writeback import CellWrite, Value, WritePlan, same


def take_back(
    after: Grid,
    first: WritePlan,
    sent: Sequence[WritePlan],
    broken: Sequence[Anchor],
    computed: Computed,
) -> list[CellWrite]:
    """What undoes the write, so that Sheets shows the array again.

    Cells in columns whose content vanished are emptied: they were the array's. The others get
    back what they held.
    """
    vanished = {anchor.column for anchor in broken}
    for number, row in enumerate(first.grid.rows, start=1):
        for column, then in enumerate(row):
            if then not in ("", None) and cell_at(after.row(number), column) == "":
                vanished.add(column)
    cells: dict[tuple[int, int], CellWrite] = {}
    for number, column, value in _sent_cells(sent):
        if same(cell_at(after.row(number), column), value):
            old = cell_at(first.grid.row(number), column)
            formula = computed.formula(number, column)
            cells[number, column] = (
                CellWrite(number, column, formula, typed=True)
                if formula
                else CellWrite(number, column, "" if column in vanished else old)
            )
    return list(cells.values())


def repair_header(after: Grid, first: WritePlan, sent: Sequence[WritePlan]) -> list[CellWrite]:
    """The header cells that a write hit because the header row moved under it; empty if none."""
    header = first.grid.row(first.layout.header_row)
    hits = {(number, column): value for number, column, value in _sent_cells(sent)}
    values = {cell_text(value) for value in hits.values()}
    for number, row in enumerate(after.rows[: HEADER_SEARCH_ROWS + 1], start=1):
        wrong = [
            column
            for column in range(max(len(row), len(header)))
            if not same(cell_at(row, column), cell_at(header, column))
        ]
        right = len([text for text in map(cell_text, header) if text]) - len(wrong)
        if wrong and right > 0 and all(cell_text(cell_at(row, c)) in values for c in wrong):
            return [CellWrite(number, column, cell_at(header, column)) for column in wrong]
    return []


def _sent_cells(sent: Sequence[WritePlan]) -> Iterator[tuple[int, int, Value]]:
    for plan in sent:
        for write in plan.writes:
            for name, value in write.cells.items():
                yield write.row_number, plan.layout[name], value
