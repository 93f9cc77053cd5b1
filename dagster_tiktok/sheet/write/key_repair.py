"""Rows whose key a write overwrote, because columns moved meanwhile: which rows were they?

Where a column is inserted left of `Post URL` at the moment of a write, the text for the next column
lands on the link, and the row cannot be found by its key. What the write left alone tells: all
other cells, under the same headers, are as they were. Rows that have nothing else to tell them
apart are alike, so that any order of their links is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dagster_tiktok.sheet.grid import Cell, Grid, LinkedCell, cell_at, cell_text
from dagster_tiktok.sheet.read.layout import Layout
from dagster_tiktok.sheet.read.rows import row_key
from dagster_tiktok.sheet.write.column_changes import ColumnChanges
from dagster_tiktok.sheet.write.computed_cells import ComputedCells
from dagster_tiktok.sheet.write.plan import CellWrite, Conflict, WritePlan, same_text
from dagster_tiktok.sheet.write.restore import restore_cell
from dagster_tiktok.sheet.write.row_matcher import RowMatcher
from dagster_tiktok.sheet.write.write_locator import WriteLocator

_NAMED_ROWS = 5


@dataclass(frozen=True)
class KeyRepairs:
    """The tab with the keys that it should have, what restores them, and what is not certain.

    `lost` are keys that cannot be restored, `unresolved` the rows that may have held them; both are
    in `conflicts`.
    """

    grid: Grid
    restores: tuple[CellWrite, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    lost: frozenset[str] = frozenset()
    unresolved: frozenset[int] = frozenset()


def repair_keys(
    after: Grid,
    layout: Layout,
    first: WritePlan,
    hits: WriteLocator,
    computed: ComputedCells | None,
) -> KeyRepairs:
    """Finds the rows below the header whose `Post URL` was overwritten, and what it held.

    Arguments:
        after: read just now.
        first: the plan whose grid is the tab before the first write.
        hits: what was sent, looked for on `after`.
    """
    hit = _find_overwritten_keys(after, layout, hits)
    if not hit:
        return KeyRepairs(after)
    return _KeyMatching(after, layout, first, computed, hit).origins()


def _find_overwritten_keys(
    after: Grid, layout: Layout, hits: WriteLocator
) -> dict[int, tuple[str, frozenset[int]]]:
    """The rows whose key may have been hit: for whom it was meant, and the columns hit."""
    url = layout["Post URL"]
    found: dict[int, tuple[str, frozenset[int]]] = {}
    for number in range(layout.header_row + 1, len(after.rows) + 1):
        row = after.row(number)
        for _, write, named in hits.in_row(number):
            if any(
                column == url and same_text(cell_at(row, url), write.cells[name])
                for name, column in named.items()
            ):
                columns = frozenset(
                    column
                    for name, column in named.items()
                    if same_text(cell_at(row, column), write.cells[name])
                )
                found.setdefault(number, (write.source_key, columns))
    return found


class _KeyMatching:
    def __init__(
        self,
        after: Grid,
        layout: Layout,
        first: WritePlan,
        computed: ComputedCells | None,
        hit: dict[int, tuple[str, frozenset[int]]],
    ) -> None:
        self._after, self._layout, self._first = after, layout, first
        self._computed = computed
        header = after.row(layout.header_row)
        self._columns = ColumnChanges(first.grid.row(first.layout.header_row), header)
        self._matcher = RowMatcher(self._columns)
        self._url, self._old_url = layout["Post URL"], first.layout["Post URL"]
        top = first.layout.header_row
        self._before = list(enumerate(first.grid.rows[top:], start=top + 1))
        # A row that is as it was, was not hit: its link may read like what was sent.
        known = {self._matcher.before(row) for _, row in self._before}
        self._hit = {
            number: meant
            for number, meant in hit.items()
            if self._matcher.after(after.row(number)) not in known
        }

    def origins(self) -> KeyRepairs:
        """Each group of rows that are alike but for what was hit gets the links that it lacks."""
        missing = self._missing()
        rows = list(self._after.rows)
        restores: list[CellWrite] = []
        conflicts: list[Conflict] = []
        lost: set[str] = set()
        unresolved: set[int] = set()
        for columns in dict.fromkeys(columns for _, columns in self._hit.values()):
            candidates: dict[tuple[str, ...], list[int]] = {}
            for number, row in self._before:
                if missing[cell_text(cell_at(row, self._old_url))] > 0:
                    candidates.setdefault(self._matcher.before(row, columns), []).append(number)
            groups: dict[tuple[str, ...], list[int]] = {}
            for number, (_, hit) in self._hit.items():
                if hit == columns:
                    alike = self._matcher.after(self._after.row(number), columns)
                    groups.setdefault(alike, []).append(number)
            for alike, numbers in groups.items():
                found = candidates.get(alike, [])
                if not found and not any(alike):
                    # A new row that was blank.
                    restores.extend(CellWrite(number, self._url, "") for number in numbers)
                    for number in numbers:
                        rows[number - 1] = self._with_key(number, "")
                elif len(found) == len(numbers):
                    for number, old in zip(numbers, found, strict=True):
                        restores.append(self._restore_link(number, old, conflicts))
                        rows[number - 1] = self._with_key(number, self._original_link(old))
                else:
                    lost |= self._lost_key_conflicts(numbers, found, conflicts)
                    unresolved.update(numbers)
        grid = replace(self._after, rows=rows)
        return KeyRepairs(
            grid, tuple(restores), tuple(conflicts), frozenset(lost), frozenset(unresolved)
        )

    def _missing(self) -> Counter[str]:
        """The links that stood there and stand in no row now that was not hit, and how often."""
        missing = Counter(cell_text(cell_at(row, self._old_url)) for _, row in self._before)
        for number in range(self._layout.header_row + 1, len(self._after.rows) + 1):
            if number not in self._hit:
                missing[cell_text(cell_at(self._after.row(number), self._url))] -= 1
        missing[""] = max(missing[""], 0)
        return missing

    def _restore_link(self, number: int, old: int, conflicts: list[Conflict]) -> CellWrite:
        link = self._original_link(old)
        cell = restore_cell(
            self._computed, (number, self._url), link, (old, self._old_url), self._columns.pairs,
            self._first.layout.header_row,
        )  # fmt: skip
        if cell is None:
            # The link is what counts, also where its formula is not certain.
            conflicts.append(
                Conflict(
                    self._hit[number][0],
                    "columns moved while the row was written; please check Post URL in row "
                    f"{number}",
                    written=True,
                )
            )
            return CellWrite(number, self._url, link)
        return cell

    def _original_link(self, old: int) -> Cell:
        value = cell_at(self._first.grid.row(old), self._old_url)
        return str(value) if isinstance(value, LinkedCell) else value

    def _with_key(self, number: int, link: Cell) -> Sequence[Cell]:
        row = list(self._after.row(number))
        row.extend([""] * (self._url + 1 - len(row)))
        row[self._url] = link
        return row

    def _lost_key_conflicts(
        self, numbers: Sequence[int], found: Sequence[int], conflicts: list[Conflict]
    ) -> set[str]:
        named = ", ".join(map(str, numbers[:_NAMED_ROWS]))
        where = f"row {named}" if len(numbers) == 1 else f"one of the rows {named}"
        if len(numbers) > _NAMED_ROWS:
            where += f" and {len(numbers) - _NAMED_ROWS:,} more"
        keys = {row_key(self._first.grid.row(old), self._first.layout) for old in found}
        conflicts.extend(
            Conflict(
                key,
                f"columns moved while the row was written, and its link in {where} was overwritten "
                "or deleted: put the link back (File > Version history shows it)",
            )
            for key in sorted(keys)
        )
        if not keys:
            conflicts.extend(
                Conflict(
                    self._hit[number][0],
                    f"columns moved while the row was written; please check row {number}",
                    written=True,
                )
                for number in numbers
            )
        return keys
