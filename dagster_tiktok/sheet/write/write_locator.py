"""Finds the rows that a write landed in, also those of other rows: by content, never by number.

Rows may move between the reading and the write, and again between the write and the check; then
the row that was overwritten stands at neither of the two numbers. But all cells of one write stay
together in that row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dagster_tiktok.sheet.grid import Cell, Grid, cell_at, cell_text
from dagster_tiktok.sheet.read.layout import Layout
from dagster_tiktok.sheet.write.column_changes import ColumnChanges
from dagster_tiktok.sheet.write.plan import RowWrite, WritePlan, rows_by_key, same_text

Hit = tuple[WritePlan, RowWrite, Mapping[str, int]]
"""A plan that was sent, a row's write of it, and the columns that its cells stand in now.

A cell whose column was deleted after the write is not among them.
"""


class WriteLocator:
    """What every row below the header holds of what was sent.

    Arguments:
        after: read just now.
        sent: the plans that were sent.
        enough: so many filled cells tell a write where the columns of others are gone.
    """

    def __init__(
        self, after: Grid, layout: Layout, sent: Sequence[WritePlan], *, enough: int = 2
    ) -> None:
        self.sent = sent
        self._after, self._enough = after, enough
        # For each set of columns: the texts in them to the write that puts them there.
        self._index: dict[tuple[int, ...], dict[tuple[str, ...], list[Hit]]] = {}
        undone = not _all_in_place(after, layout, sent)
        header = after.row(layout.header_row)
        for plan in sent:
            columns = ColumnChanges(plan.grid.row(plan.layout.header_row), header)
            names = dict.fromkeys(name for write in plan.writes for name in write.cells)
            for places in columns.places([plan.layout[name] for name in names], undone=undone):
                for write in plan.writes:
                    named = {
                        name: places[plan.layout[name]]
                        for name in write.cells
                        if plan.layout[name] in places
                    }
                    self._add(plan, write, named)

    def in_row(self, number: int) -> Iterable[Hit]:
        """The writes whose filled cells all stand in the row."""
        row = self._after.row(number)
        for columns, by_texts in self._index.items():
            yield from by_texts.get(tuple(cell_text(cell_at(row, at)) for at in columns), ())

    def _add(self, plan: WritePlan, write: RowWrite, named: Mapping[str, int]) -> None:
        filled = sorted(
            (column, text)
            for name, column in named.items()
            if (text := cell_text(write.cells[name]))
        )
        if filled and (
            len(named) == len(write.cells) or "Status" in named or len(filled) >= self._enough
        ):
            columns = tuple(column for column, _ in filled)
            texts = tuple(text for _, text in filled)
            hits = self._index.setdefault(columns, {}).setdefault(texts, [])
            if all(named != other for _, _, other in hits):
                hits.append((plan, write, named))


def _all_in_place(after: Grid, layout: Layout, sent: Sequence[WritePlan]) -> bool:
    """Whether every write stands where it belongs, so that none has to be looked for."""
    if "Post URL" not in layout or "Status" not in layout:
        return False
    groups: dict[str, list[RowWrite]] = {}
    for plan in sent:
        for write in plan.writes:
            groups.setdefault(write.source_key, []).append(write)
    rows = rows_by_key(after, layout, groups)
    return all(
        sum(_holds(after.row(number), layout, writes[-1]) for number in rows.get(key, ()))
        >= len({write.row_number for write in writes})
        for key, writes in groups.items()
    )


def _holds(row: Sequence[Cell], layout: Layout, write: RowWrite) -> bool:
    return all(
        name in layout and same_text(cell_at(row, layout[name]), value)
        for name, value in write.cells.items()
    )
