"""What cells held before a write, looked up by the key of their row."""

from __future__ import annotations

from dagster_tiktok.sheet.grid import Cell, Grid, cell_at, cell_text
from dagster_tiktok.sheet.read.layout import Layout
from dagster_tiktok.sheet.read.rows import row_key
from dagster_tiktok.sheet.write.column_changes import ColumnChanges
from dagster_tiktok.sheet.write.plan import WritePlan, rows_by_key


class PreviousCells:
    """What cells held on the tab that a plan was made on."""

    def __init__(self, plan: WritePlan, after: Grid, layout: Layout) -> None:
        self._grid, self._layout = plan.grid, plan.layout
        self._rows: dict[str, list[int]] | None = None
        self._known: dict[tuple[str, int], frozenset[tuple[Cell, int, int]]] = {}
        self._blank_key = row_key((), plan.layout)
        columns = ColumnChanges(plan.grid.row(plan.layout.header_row), after.row(layout.header_row))
        self._columns = columns
        # Where a column is gone, it may be one of those that came, under another header.
        self._new = frozenset() if columns.lost else columns.inserted

    def cells(self, key: str, column: int) -> frozenset[tuple[Cell, int, int]]:
        """What the rows with that key held in the column that now stands there: value, row, column.

        Empty if that is not known; one of each value, row 0 for a cell that was not there.
        """
        place = (key, column)
        if place not in self._known:
            self._known[place] = self._cells(key, column)
        return self._known[place]

    def _cells(self, key: str, column: int) -> frozenset[tuple[Cell, int, int]]:
        if self._rows is None:
            self._rows = rows_by_key(self._grid, self._layout)
        rows = self._rows.get(key, [])
        if column in self._new or (not rows and key == self._blank_key):
            return frozenset([("", 0, column)])
        old = self._columns.before(column)
        if old is None:
            return frozenset()
        by_value: dict[str, tuple[Cell, int, int]] = {}
        for row in rows:
            value = cell_at(self._grid.row(row), old)
            by_value.setdefault(cell_text(value), (value, row, old))
        return frozenset(by_value.values())
