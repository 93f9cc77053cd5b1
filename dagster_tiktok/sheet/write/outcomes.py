"""Writing outcomes into a tab: plan, reject what is computed, write, check, repair once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, NoReturn, Protocol

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.net.retry import TransientError, retrying
from dagster_tiktok.sheet.api.errors import (
    ProtectedError,
    ResponseLostError,
    UnknownRangeError,
    protected_error,
)
from dagster_tiktok.sheet.grid import Grid, column_name
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.mismatched_links import find_mismatched_links, parse_hyperlink
from dagster_tiktok.sheet.write.array_repair import undo_array_break
from dagster_tiktok.sheet.write.computed_cells import (
    ComputedCells,
    array_output_error,
    exclude_computed,
    find_broken_arrays,
    planned_cells,
)
from dagster_tiktok.sheet.write.consistent_read import read_computed
from dagster_tiktok.sheet.write.corrections import plan_corrections
from dagster_tiktok.sheet.write.deleted_columns import plan_restores_without_header
from dagster_tiktok.sheet.write.error_column import ERROR, WrittenErrors, find_foreign_error
from dagster_tiktok.sheet.write.header_repair import HeaderRepair, repair_header
from dagster_tiktok.sheet.write.plan import (
    CellWrite,
    Conflict,
    RowOutcome,
    RowWrite,
    WritePlan,
    plan_writeback,
    safe_text,
)
from dagster_tiktok.sheet.write.ranges import as_ranges

_NAMED_ROWS = 5
MAX_REFUSED_WRITES = 40
"""Of one answer: the quota is 60 writes a minute."""

log = logging.getLogger(__name__)


class Tab(Protocol):
    """The calls that an answer needs, each one request (retried where that is safe)."""

    @property
    def client_email(self) -> str: ...

    def read_values(self) -> Grid: ...
    def read_formulas(self) -> Grid: ...
    def cells(self, ranges: Sequence[Mapping[str, int]], fields: str) -> Any: ...
    def update(self, data: Sequence[dict[str, Any]], *, typed: bool = False) -> None: ...


@dataclass(frozen=True)
class Answered:
    """What was written. `first` is the plan, without what was refused."""

    first: WritePlan
    conflicts: tuple[Conflict, ...]
    warnings: tuple[str, ...]
    cells: int
    repaired: int


class Answer:
    """One answer for one tab. `attempts` and `max_wait` as in `retrying`."""

    def __init__(
        self,
        tab: Tab,
        timezone: tzinfo,
        *,
        attempts: int,
        max_wait: float,
        written_before: WrittenErrors,
    ) -> None:
        self._tab, self._timezone = tab, timezone
        self._written_before = written_before
        self._attempts, self._max_wait = attempts, max_wait
        self._sent: list[WritePlan] = []
        self._conflicts: set[Conflict] = set()
        self._protected: dict[str, set[str]] = {}
        self._refused_rows: set[tuple[str, int]] = set()
        self._refused_writes = 0
        self._computed: ComputedCells | None = None

    def write(self, outcomes: Sequence[RowOutcome]) -> Answered:
        """Raises ConfigurationError, TransientError, ServiceUnavailableError."""
        first, warnings = self._planned(outcomes)
        self._conflicts |= {*first.conflicts}
        repaired = 0
        if first.writes:
            self._send(first, first)
            after = self._checked(first)
            repair = plan_corrections(after, self._wanted(first), self._sent, self._computed)
            self._conflicts |= {*repair.conflicts}
            repaired = len(repair.cells())
            if repaired:
                self._send(repair, first)
        cells = sum(len(plan.cells()) for plan in self._sent)
        return Answered(first, tuple(self._conflicts), warnings, cells, repaired)

    def _planned(self, outcomes: Sequence[RowOutcome]) -> tuple[WritePlan, tuple[str, ...]]:
        for attempt in range(2):
            values, computed = read_computed(
                self._tab,
                lambda grid: planned_cells(plan_writeback(grid, outcomes, self._timezone)),
            )
            theirs = find_foreign_error(
                values,
                find_layout(values),
                {safe_text(outcome.reason) for outcome in outcomes if outcome.reason},
                self._written_before,
            )
            left_alone = frozenset([ERROR] if theirs else [])
            plan = plan_writeback(values, outcomes, self._timezone, left_alone)
            try:
                guarded = exclude_computed(plan, computed)
            except ConfigurationError:
                # Once more: a row that was deleted between the two readings looks the same.
                if attempt:
                    raise
                continue
            self._computed = computed
            rows = [write.row_number for write in guarded.plan.writes]
            column = plan.layout["Post URL"]
            links = {row: parse_hyperlink(computed.formula(row, column)) for row in rows}
            linked = find_mismatched_links(values, plan.layout, rows, links)
            return guarded.plan, (*guarded.warnings, *linked, *([theirs] if theirs else []))
        raise AssertionError("the second attempt returns or raises")

    def _send(self, plan: WritePlan, first: WritePlan) -> None:
        """Writes `plan`; after a failure reads again and writes what `first` still lacks."""
        unknown_range = False
        for attempt in retrying(self._attempts, self._max_wait):
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    after = self._tab.read_values()
                    plan = plan_corrections(after, self._wanted(first), self._sent, self._computed)
                if not plan.cells():
                    return
                try:
                    self._deliver(plan)
                except UnknownRangeError as error:
                    # The tab was renamed or cut since it was read: read again, write once more.
                    if unknown_range:
                        raise
                    unknown_range = True
                    raise TransientError(str(error), retry_after=0.0) from None

    def _deliver(self, plan: WritePlan) -> None:
        if not self._put(plan):
            if plan.restores and plan.writes and not self._put(replace(plan, writes=())):
                self._conflicts |= {
                    Conflict(plan.writes[0].source_key, _check_row(cell), written=True)
                    for cell in plan.restores
                }
            self._halve(replace(plan, restores=()), list(plan.writes), known_refused=True)

    def _put(self, plan: WritePlan) -> bool:
        """Whether Google took it. False: a cell of it is protected, and nothing was written."""
        for typed in (False, True):
            cells = [cell for cell in plan.cells() if cell.typed == typed]
            if not cells:
                continue
            log.info("sheets write rows=%d cells=%d", len(plan.writes), len(cells))
            try:
                self._tab.update(as_ranges(cells), typed=typed)
            except ResponseLostError:
                self._sent.append(plan)
                raise
            except ProtectedError:
                self._refused_writes += 1
                return False
        self._sent.append(plan)
        return True

    def _halve(
        self, plan: WritePlan, writes: list[RowWrite], *, known_refused: bool = False
    ) -> None:
        """Finds the protected cells among rows that were refused together, and writes the rest."""
        if not writes or (not known_refused and self._put(replace(plan, writes=tuple(writes)))):
            return
        if self._refused_writes >= MAX_REFUSED_WRITES:
            if not any(sent.writes for sent in self._sent):
                raise protected_error(self._tab.client_email)
            for write in writes:
                self._refuse(plan, write, None)
        elif len(writes) == 1:
            self._by_column(plan, writes[0])
        else:
            middle = len(writes) // 2
            self._halve(plan, writes[:middle])
            self._halve(plan, writes[middle:])

    def _by_column(self, plan: WritePlan, write: RowWrite) -> None:
        # The status first: a row of which it is protected is left as it is.
        if not self._put_cells(plan, write, ["Status"]):
            self._refuse(plan, write, "Status")
            return
        others = [name for name in write.cells if name != "Status"]
        if others and not self._put_cells(plan, write, others):
            for name in others:
                if not self._put_cells(plan, write, [name]):
                    self._protected.setdefault(write.source_key, set()).add(name)
                    self._conflicts.add(
                        Conflict(write.source_key, self._told(plan, write, name), written=True)
                    )

    def _put_cells(self, plan: WritePlan, write: RowWrite, names: Iterable[str]) -> bool:
        if not {*names} & write.cells.keys():
            return True
        part = replace(write, cells={name: write.cells[name] for name in names})
        return self._put(replace(plan, writes=(part,), restores=()))

    def _refuse(self, plan: WritePlan, write: RowWrite, name: str | None) -> None:
        self._refused_rows.add((write.source_key, write.row_number))
        text = (
            self._told(plan, write, name)
            if name
            else f"row {write.row_number} was not written: too many cells are protected"
        )
        self._conflicts.add(Conflict(write.source_key, text, waits=True))

    def _told(self, plan: WritePlan, write: RowWrite, name: str) -> str:
        cell = f"{column_name(plan.layout[name])}{write.row_number}"
        return (
            f'the cell {cell} ("{name}") is protected; allow {self._tab.client_email} to edit it '
            "(Data > Protect sheets and ranges)"
        )

    def _wanted(self, first: WritePlan) -> WritePlan:
        """`first` without what Google refused, which is not tried again."""
        return replace(
            first,
            writes=tuple(
                write.without(self._protected.get(write.source_key, ()))
                for write in first.writes
                if (write.source_key, write.row_number) not in self._refused_rows
            ),
        )

    def _checked(self, first: WritePlan) -> Grid:
        """The tab after the write. An array that the write broke gets its cells back.

        Raises:
            ConfigurationError: the write was taken back.
        """
        after = self._tab.read_values()
        computed = self._computed or ComputedCells(first.grid, first.grid)
        broken = find_broken_arrays(
            after, first.grid, computed, header_is_gone=not _has_header(after)
        )
        if broken:
            self._restore(first, undo_array_break(after, first, self._sent, broken, computed))
            raise array_output_error(first.grid.title, broken[0], "Status")
        repair = repair_header(after, first, self._sent)
        if repair:
            self._conflicts |= {
                Conflict(first.writes[0].source_key, _header_lost(repair, at), written=True)
                for at in repair.lost
            }
            self._restore(replace(first, grid=after), list(repair.cells))
            after = self._tab.read_values()
        if not _has_header(after):
            self._leave(after, first, computed)
        return after

    def _leave(self, after: Grid, first: WritePlan, computed: ComputedCells) -> NoReturn:
        """Puts back what the write hit on a tab that cannot be used any more, and says why."""
        cells, rows = plan_restores_without_header(after, first, self._sent, computed)
        self._restore(replace(first, grid=after), cells)
        try:
            find_layout(after)
        except ConfigurationError as error:
            if not rows:
                raise
            named = ", ".join(map(str, rows[:_NAMED_ROWS])) + (", …" * (len(rows) > _NAMED_ROWS))
            raise ConfigurationError(
                f"{error} It was changed at the moment of a write; please check row"
                f"{'s' if len(rows) > 1 else ''} {named}."
            ) from None
        raise AssertionError("the caller found no header")

    def _restore(self, plan: WritePlan, cells: list[CellWrite]) -> None:
        for typed in (False, True):
            data = as_ranges([cell for cell in cells if cell.typed == typed])
            if data:
                for attempt in retrying(self._attempts, self._max_wait):
                    with attempt:
                        self._tab.update(data, typed=typed)


def _has_header(grid: Grid) -> bool:
    try:
        find_layout(grid)
    except ConfigurationError:
        return False
    return True


def _check_row(cell: CellWrite) -> str:
    return f"rows or columns moved while it was written; please check row {cell.row_number}"


def _header_lost(repair: HeaderRepair, column: int) -> str:
    return (
        "rows and columns moved while it was written, and the header of a new column was "
        f"overwritten; please check the headers in row {repair.row} (column {column_name(column)}, "
        "or one next to it)"
    )
