"""Which rows hold what was sent for other rows: looked for by content, never by place.

Rows may move between the reading and the write, and again between the write and the check; then
the row that was hit stands at neither of the two numbers. But all cells of one write stay together
in the row that they hit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from dagster_tiktok.sheet.grid import Cell, Grid, cell_at, cell_text
from dagster_tiktok.sheet.layout import Layout
from dagster_tiktok.sheet.writeback import RowWrite, WritePlan

_MAX_NEW_COLUMNS = 4

Hit = tuple[WritePlan, RowWrite, Mapping[str, int]]
"""A plan that was sent, a row's write of it, and the columns that its cells stand in now."""


def column_pairs(then: Sequence[Cell], now: Sequence[Cell]) -> dict[int, int]:
    """Columns as they stand now to where they stood, by their headers.

    A header that was renamed in its place is the same column; what stands in no pair is new, or
    is not known again.
    """
    old, new = [cell_text(cell) for cell in then], [cell_text(cell) for cell in now]
    width = max(len(old), len(new))
    if len(old) < width or len(new) < width:
        # Trailing empty headers are not read.
        shorter = old if len(old) < width else new
        if old[: len(shorter)] == new[: len(shorter)]:
            shorter.extend([""] * (width - len(shorter)))
    pairs: dict[int, int] = {}
    matcher = SequenceMatcher(a=old, b=new, autojunk=False)
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and a1 - a0 == b1 - b0):
            pairs.update(zip(range(b0, b1), range(a0, a1), strict=True))
    return pairs


def new_columns(then: Sequence[Cell], now: Sequence[Cell]) -> set[int]:
    """Columns that were inserted for certain: under every other header nothing changed."""
    pairs = column_pairs(then, now)
    if len({*pairs.values()}) < len([cell for cell in then if cell_text(cell)]):
        return set()
    return {column for column in range(len(now)) if column not in pairs}


class Hits:
    """What every row below the header holds of what was sent.

    Arguments:
        after: read just now.
        sent: the plans that were sent.
    """

    def __init__(self, after: Grid, layout: Layout, sent: Sequence[WritePlan]) -> None:
        self._after, self._layout = after, layout
        # For each set of columns: the texts in them to the write that puts them there.
        self._index: dict[tuple[int, ...], dict[tuple[str, ...], Hit]] = {}
        header = after.row(layout.header_row)
        for plan in sent:
            for places in self._mappings(plan, header):
                for write in plan.writes:
                    named = {
                        name: places[plan.layout[name]]
                        for name in write.cells
                        if plan.layout[name] in places
                    }
                    if len(named) == len(write.cells):
                        self._add(plan, write, named)

    def of(self, number: int) -> Iterable[Hit]:
        """The writes whose filled cells all stand in the row."""
        row = self._after.row(number)
        for columns, by_texts in self._index.items():
            hit = by_texts.get(tuple(cell_text(cell_at(row, column)) for column in columns))
            if hit is not None:
                yield hit

    def _add(self, plan: WritePlan, write: RowWrite, named: Mapping[str, int]) -> None:
        filled = [(named[name], cell_text(value)) for name, value in write.cells.items()]
        filled = sorted((column, text) for column, text in filled if text)
        if filled:
            columns = tuple(column for column, _ in filled)
            texts = tuple(text for _, text in filled)
            self._index.setdefault(columns, {}).setdefault(texts, (plan, write, named))

    def _mappings(self, plan: WritePlan, header: Sequence[Cell]) -> list[dict[int, int]]:
        """Where the columns of the moment of the write may stand now."""
        then = plan.grid.row(plan.layout.header_row)
        pairs = column_pairs(then, header)
        by_name = {old: new for new, old in pairs.items()}
        width = max(len(then), len(header), *plan.layout.columns.values()) + 1
        found = [{column: column for column in range(width)}, by_name]
        inserted = sorted(new_columns(then, header))[:_MAX_NEW_COLUMNS]
        for bits in range(1, 2 ** len(inserted) - 1):
            # Those of the new columns that came only after the write did not shift it.
            late = {column for i, column in enumerate(inserted) if bits >> i & 1}
            early = (column for column in range(width + len(late)) if column not in late)
            found.append(dict(enumerate(early)))
        unique: list[dict[int, int]] = []
        for places in found:
            columns = plan.layout.columns.values()
            kept = {column: places[column] for column in columns if column in places}
            if kept not in unique:
                unique.append(kept)
        return unique
