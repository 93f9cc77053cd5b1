"""A required column that was deleted or renamed while a write was on its way.

No row can be found by its key or status then, and nothing more is written. But the cells that the
write overwrote in other columns are restored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dagster_tiktok.sheet.grid import Cell, Grid, cell_at, cell_text
from dagster_tiktok.sheet.read.layout import HEADER_SEARCH_ROWS, Layout
from dagster_tiktok.sheet.read.rows import row_key
from dagster_tiktok.sheet.write.column_changes import ColumnChanges
from dagster_tiktok.sheet.write.computed_cells import ComputedCells
from dagster_tiktok.sheet.write.plan import CellWrite, WritePlan, same_text
from dagster_tiktok.sheet.write.restore import restore_cell
from dagster_tiktok.sheet.write.row_matcher import RowMatcher
from dagster_tiktok.sheet.write.write_locator import WriteLocator


def plan_restores_without_header(
    after: Grid, first: WritePlan, sent: Sequence[WritePlan], computed: ComputedCells
) -> tuple[list[CellWrite], list[int]]:
    """What puts back the cells that were hit, and the rows where that is not certain."""
    header = first.grid.row(first.layout.header_row)
    number = _header_row(after, [text for text in map(cell_text, header) if text])
    if not number:
        return [], sorted({write.row_number for plan in sent for write in plan.writes})
    kept = _last_columns_still_exist(after, first, number, sent)
    columns = ColumnChanges(header, after.row(number), are_deleted=kept is False)
    now_at = {old: now for now, old in columns.pairs.items()}
    layout = Layout(
        number, {name: now_at[at] for name, at in first.layout.columns.items() if at in now_at}
    )
    hits = WriteLocator(after, layout, sent, enough=1)
    cells, rows = _RestorePlanner(after, layout, first, hits, columns, computed).all()
    if kept is None:
        hit = {
            n for n in range(number + 1, len(after.rows) + 1) if any(True for _ in hits.in_row(n))
        }
        rows = sorted({*rows, *hit})
    return cells, rows


def _last_columns_still_exist(
    after: Grid, first: WritePlan, header_row: int, sent: Sequence[WritePlan]
) -> bool | None:
    """Whether the last headers, where they are missing, were only emptied; None if not certain.

    A deleted column leaves the same header row. What stands in the cells below tells.
    """
    then, now = first.grid.row(first.layout.header_row), after.row(header_row)
    last = range(len(now), len(then))
    ours = {cell_text(value) for plan in sent for w in plan.writes for value in w.cells.values()}
    stood = {
        (at, text)
        for row in first.grid.rows[first.layout.header_row :]
        for at in last
        if (text := cell_text(cell_at(row, at))) and text not in ours
    }
    if not stood:
        return True if not last else None
    stands = {
        (at, text)
        for row in after.rows[header_row:]
        for at in last
        if (text := cell_text(cell_at(row, at))) and text not in ours
    }
    if stood & stands:
        return True
    # Where each of those rows was written, nothing is left to tell.
    written = {write.row_number for write in first.writes}
    rows = range(first.layout.header_row + 1, len(first.grid.rows) + 1)
    others = (number for number in rows if number not in written)
    return False if any(cell_text(cell_at(first.grid.row(n), at))
                        for n in others for at in last) else None  # fmt: skip


def _header_row(after: Grid, texts: Sequence[str]) -> int:
    """The row of the top that has most of these texts, 0 if none has one."""
    best, most = 0, 0
    for number, row in enumerate(after.rows[: HEADER_SEARCH_ROWS + 1], start=1):
        count = len({*texts} & {*map(cell_text, row)})
        if count > most:
            best, most = number, count
    return best


class _RestorePlanner:
    def __init__(  # noqa: PLR0917  # the tab at two moments and what came between
        self,
        after: Grid,
        layout: Layout,
        first: WritePlan,
        hits: WriteLocator,
        columns: ColumnChanges,
        computed: ComputedCells,
    ) -> None:
        self._after, self._layout, self._first = after, layout, first
        self._hits, self._columns, self._computed = hits, columns, computed
        self._matcher = RowMatcher(columns)
        self._candidates: dict[frozenset[int], dict[tuple[str, ...], list[int]]] = {}

    def all(self) -> tuple[list[CellWrite], list[int]]:
        cells: dict[tuple[int, int], CellWrite | None] = {}
        for number in range(self._layout.header_row + 1, len(self._after.rows) + 1):
            for hit in self._misplaced(number):
                for column in hit:
                    if (number, column) not in cells:
                        cells[number, column] = self._cell(number, column, hit)
        changes = [
            cell
            for (number, column), cell in cells.items()
            if cell and not same_text(cell_at(self._after.row(number), column), cell.value)
        ]
        return changes, sorted({number for (number, _), cell in cells.items() if cell is None})

    def _misplaced(self, number: int) -> Iterator[frozenset[int]]:
        """The columns of each hit in the row that was not meant: for other columns or rows."""
        row = self._after.row(number)
        for _, write, named in self._hits.in_row(number):
            hit = frozenset(
                at for name, at in named.items() if same_text(cell_at(row, at), write.cells[name])
            )
            shifted = any(self._layout.columns.get(name) != at for name, at in named.items())
            rows = self._rows_as_it_was(number, hit)
            is_own = not shifted and write.source_key in map(self._key, rows)
            if not is_own and not any(self._held(old, row, hit) for old in rows):
                yield hit

    def _held(self, old: int, row: Sequence[Cell], hit: frozenset[int]) -> bool:
        """Whether a row of before held what the row holds in these columns now."""
        before = self._first.grid.row(old)
        places = [(self._columns.before(column), column) for column in hit]
        return all(
            at is not None and same_text(cell_at(before, at), cell_at(row, now))
            for at, now in places
        )

    def _key(self, old: int) -> str:
        return row_key(self._first.grid.row(old), self._first.layout)

    def _rows_as_it_was(self, number: int, hit: frozenset[int]) -> list[int]:
        return self._rows_before(hit).get(self._matcher.after(self._after.row(number), hit), [])

    def _cell(self, number: int, column: int, hit: frozenset[int]) -> CellWrite | None:
        """What the cell held, None if that is not certain."""
        alike = self._rows_as_it_was(number, hit)
        if column in self._columns.inserted and not self._columns.lost:
            return CellWrite(number, column, "")
        old = self._columns.before(column)
        if old is None:
            return None
        found = {cell_text(cell_at(self._first.grid.row(row), old)): row for row in alike}
        if len(found) != 1:
            return None
        ((_, row),) = found.items()
        value = cell_at(self._first.grid.row(row), old)
        return restore_cell(
            self._computed,
            (number, column),
            value,
            (row, old),
            self._columns.pairs,
            self._first.layout.header_row,
        )

    def _rows_before(self, hit: frozenset[int]) -> dict[tuple[str, ...], list[int]]:
        if hit not in self._candidates:
            top = self._first.layout.header_row
            found: dict[tuple[str, ...], list[int]] = {}
            for number, row in enumerate(self._first.grid.rows[top:], start=top + 1):
                found.setdefault(self._matcher.before(row, hit), []).append(number)
            self._candidates[hit] = found
        return self._candidates[hit]
