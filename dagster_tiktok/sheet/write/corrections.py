"""After a write: is every outcome where it belongs, and was nothing else hit?

Sheets has no compare-and-set. Rows that move in the moment between the reading and the write take
the write with them to the wrong place. The tab before the write, the write, and the tab after it
tell what happened: an outcome that is missing is written again, a cell that was overwritten by
mistake is restored. The same comparison makes a write safe to repeat whose response was lost
(a 503 may come after the write was applied).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from dagster_tiktok.sheet.grid import Cell, Grid, cell_at, cell_text
from dagster_tiktok.sheet.read.layout import Layout, find_layout
from dagster_tiktok.sheet.read.rows import READY, parse_status, row_key
from dagster_tiktok.sheet.write.column_changes import ColumnChanges
from dagster_tiktok.sheet.write.computed_cells import ComputedCells
from dagster_tiktok.sheet.write.key_repair import repair_keys
from dagster_tiktok.sheet.write.plan import (
    CellWrite,
    Conflict,
    RowWrite,
    Value,
    WritePlan,
    duplicate_message,
    rows_by_key,
    same_text,
    status_changed_message,
)
from dagster_tiktok.sheet.write.previous_cells import PreviousCells
from dagster_tiktok.sheet.write.restore import restore_cell
from dagster_tiktok.sheet.write.write_locator import WriteLocator


def plan_corrections(
    after: Grid,
    first: WritePlan,
    sent: Sequence[WritePlan],
    computed: ComputedCells | None = None,
) -> WritePlan:
    """What is still to be written for `first`'s outcomes on the tab as it is now.

    Arguments:
        after: read just now.
        first: the plan that says what is wanted.
        sent: the plans that were sent, also those whose response was lost.
        computed: what was computed on the tab before the first write, so that a formula that was
            hit is put back as one.

    Raises:
        ConfigurationError: the tab no longer has the columns.
    """
    layout = find_layout(after, left_alone=first.layout.left_alone)
    hits = WriteLocator(after, layout, sent)
    origins = repair_keys(after, layout, first, hits, computed)
    after = origins.grid
    comparison = _Comparison(after, layout, first, hits, computed)
    writes: list[RowWrite] = []
    conflicts = list(origins.conflicts)
    for key, group in comparison.groups.items():
        if key not in origins.lost:
            comparison.check(key, group, writes, conflicts)
    url = layout["Post URL"]
    settled = {(number, url) for number in origins.unresolved}
    restores = (*origins.restores, *comparison.restores(conflicts, settled))
    return WritePlan(after, layout, tuple(writes), (), tuple(conflicts), restores)


class _Comparison:
    def __init__(
        self,
        after: Grid,
        layout: Layout,
        first: WritePlan,
        hits: WriteLocator,
        computed: ComputedCells | None,
    ) -> None:
        self.computed = computed
        self.hits = hits
        header = after.row(layout.header_row)
        self.pairs = ColumnChanges(first.grid.row(first.layout.header_row), header).pairs
        self.after, self.layout, self.first, self.sent = after, layout, first, hits.sent
        self.groups: dict[str, list[RowWrite]] = {}
        for write in first.writes:
            self.groups.setdefault(write.source_key, []).append(write)
        # What each place, a row number and a column, was sent: for whom, for which header.
        self.sent_to: dict[tuple[int, int], list[tuple[str, str, Value]]] = {}
        for plan in hits.sent:
            for write in plan.writes:
                for name, value in write.cells.items():
                    place = (write.row_number, plan.layout[name])
                    self.sent_to.setdefault(place, []).append((write.source_key, name, value))
        keys = set(self.groups)
        self.rows_before = rows_by_key(first.grid, first.layout, keys)
        self.rows_after = rows_by_key(after, layout, keys)

    def check(
        self, key: str, group: list[RowWrite], writes: list[RowWrite], conflicts: list[Conflict]
    ) -> None:
        """Compares the rows of one key with what they should hold."""
        wanted = {name: value for name, value in group[0].cells.items() if name in self.layout}
        rows = self._target_rows(key, group)
        if not rows:
            conflicts.append(Conflict(key, "the row is gone from the sheet"))
            return
        missing = {number: self._missing(number, wanted) for number in rows}
        if len(rows) > len(group):
            if sum(not cells for cells in missing.values()) < len(group):
                conflicts.append(Conflict(key, duplicate_message(rows, len(group)), waits=True))
            return
        for number, cells in missing.items():
            if not cells or ("Status" not in cells and not self.sent):
                continue
            state = parse_status(cell_at(self.after.row(number), self.layout["Status"]))
            if "Status" not in cells or self._is_misplaced(number, key):
                writes.append(RowWrite(key, number, cells))
            elif state != READY:
                conflicts.append(
                    Conflict(key, status_changed_message(self.after, self.layout, number))
                )
            elif not self._received_outcome(number, group[0]):
                writes.append(RowWrite(key, number, cells))
            # A row that has the outcome and is ready again was set back by a VA just now.

    def restores(
        self, conflicts: list[Conflict], settled: Collection[tuple[int, int]] = ()
    ) -> list[CellWrite]:
        """Cells that a write overwrote by mistake, wherever they are now.

        Arguments:
            settled: cells that a conflict names already.
        """
        found: dict[tuple[int, int], CellWrite | None] = dict.fromkeys(settled)
        before = {id(plan): PreviousCells(plan, self.after, self.layout) for plan in self.sent}
        original = PreviousCells(self.first, self.after, self.layout)
        shifted = False
        for number in range(self.layout.header_row + 1, len(self.after.rows) + 1):
            key = row_key(self.after.row(number), self.layout)
            for plan, write, named in self.hits.in_row(number):
                if write.source_key != key or self._is_shifted(named):
                    held = [original, before[id(plan)]]
                    for name, column in named.items():
                        self._restore(
                            (number, column),
                            key,
                            write.source_key,
                            write.cells[name],
                            held,
                            conflicts,
                            found,
                        )
                shifted = shifted or self._is_shifted(named)
        # Where a VA typed over a part of it since: by its place, if that did not move again.
        for plan in self.sent:
            for write in plan.writes:
                for name, value in write.cells.items():
                    number, column = write.row_number, plan.layout[name]
                    key = row_key(self.after.row(number), self.layout)
                    held = [original, before[id(plan)]]
                    self._restore(
                        (number, column), key, write.source_key, value, held, conflicts, found
                    )
        if shifted:
            for key, rows in self.rows_after.items():
                for number in rows:
                    self._flag_unexplained_values(number, key, original, found, conflicts)
        return [cell for cell in found.values() if cell is not None]

    def _restore(  # noqa: PLR0917  # one cell, what is known of it, and its conflicts
        self,
        place: tuple[int, int],
        key: str,
        source_key: str,
        value: Value,
        held: Sequence[PreviousCells],
        conflicts: list[Conflict],
        found: dict[tuple[int, int], CellWrite | None],
    ) -> None:
        number, column = place
        row = self.after.row(number)
        if (
            place in found
            or not same_text(cell_at(row, column), value)
            or self._is_own_outcome(number, column)
        ):
            return
        for before in held:
            old = before.cells(key, column)
            if old:
                break
        if len(old) == 1:
            ((old_value, old_row, old_column),) = old
            cell = restore_cell(
                self.computed,
                place,
                old_value,
                (old_row, old_column),
                self.pairs,
                self.first.layout.header_row,
            )
            if cell is None:
                self._flag_row(number, source_key, conflicts)
            elif not same_text(cell.value, value):
                found[place] = cell
        elif cell_text(value) and not any(same_text(item, value) for item, _, _ in old):
            self._flag_row(number, source_key, conflicts)

    def _flag_unexplained_values(
        self,
        number: int,
        key: str,
        original: PreviousCells,
        found: Mapping[tuple[int, int], CellWrite | None],
        conflicts: list[Conflict],
    ) -> None:
        """Where columns moved twice, a value may stand in one that none of the cases explains."""
        texts = {cell_text(value) for value in self.groups[key][0].cells.values()} - {""}
        for column, cell in enumerate(self.after.row(number)):
            text = cell_text(cell)
            if text in texts and (number, column) not in found:
                held = {cell_text(value) for value, _, _ in original.cells(key, column)}
                if text not in held and not self._is_own_outcome(number, column):
                    self._flag_row(number, key, conflicts)

    def _flag_row(self, number: int, source_key: str, conflicts: list[Conflict]) -> None:
        text = f"rows or columns moved while the row was written; please check row {number}"
        conflict = Conflict(source_key, text, written=True)
        if conflict not in conflicts:
            conflicts.append(conflict)

    def _target_rows(self, key: str, group: list[RowWrite]) -> list[int]:
        """The rows of the key, without those that held it before and were not to be written."""
        targets = {write.row_number for write in group}
        rows = self.rows_after.get(key, [])
        others = [number for number in self.rows_before.get(key, []) if number not in targets]
        if not others:
            return rows
        # By content: one key may have thousands of rows, and comparing each with each takes hours.
        by_content: dict[tuple[str, ...], deque[int]] = {}
        for row in rows:
            by_content.setdefault(_trimmed(self.after.row(row)), deque()).append(row)
        unchanged: set[int] = set()
        for number in others:
            same_rows = by_content.get(_trimmed(self.first.grid.row(number)))
            if same_rows:
                unchanged.add(same_rows.popleft())
        return [row for row in rows if row not in unchanged]

    def _missing(self, number: int, wanted: dict[str, Value]) -> dict[str, Value]:
        row = self.after.row(number)
        return {
            name: value
            for name, value in wanted.items()
            if not same_text(cell_at(row, self.layout[name]), value)
        }

    def _is_misplaced(self, number: int, key: str) -> bool:
        """Whether the row's status is one that was sent to its place for another cell."""
        column = self.layout["Status"]
        status = cell_at(self.after.row(number), column)
        return any(
            (other, name) != (key, "Status") and same_text(status, value)
            for other, name, value in self.sent_to.get((number, column), ())
        ) or any(
            write.source_key != key or self._is_shifted(named)
            for _, write, named in self.hits.in_row(number)
        )

    def _is_shifted(self, named: Mapping[str, int]) -> bool:
        """Whether cells stand in other columns than they were meant for."""
        return any(self.layout.columns.get(name) != column for name, column in named.items())

    def _received_outcome(self, number: int, write: RowWrite) -> bool:
        """Whether the row, which is ready, got what was sent for it: then a VA set it back."""
        before, after = self.first.grid.row(write.row_number), self.after.row(number)
        others = [
            (cell_at(before, self.first.layout[name]), cell_at(after, self.layout[name]), value)
            for name, value in write.cells.items()
            if name != "Status" and name in self.layout
        ]
        hits = [same_text(now, value) for then, now, value in others if not same_text(then, value)]
        sent_here = self.sent_to.get((number, self.layout["Status"]), ())
        if any((key, name) == (write.source_key, "Status") for key, name, _ in sent_here):
            return any(hits)
        # The row has moved. Some of the cells may have been sent to it by chance, not all.
        return bool(self.sent and hits) and all(same_text(now, value) for _, now, value in others)

    def _is_own_outcome(self, number: int, column: int) -> bool:
        """Whether the cell is one that its row's own outcome sets."""
        if number <= self.layout.header_row:
            return False
        own = self.groups.get(row_key(self.after.row(number), self.layout))
        return own is not None and any(
            name in self.layout and self.layout[name] == column for name in own[0].cells
        )


def _trimmed(row: Sequence[Cell]) -> tuple[str, ...]:
    texts = [cell_text(value) for value in row]
    while texts and not texts[-1]:
        texts.pop()
    return tuple(texts)
