"""Writing outcomes into a tab: plan, leave out what formulas compute, write, check, correct once.

`OutcomeWriter.write` is the whole story; each step is a module of this package.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Protocol

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.net.retry import TransientError, retrying
from dagster_tiktok.sheet.api.errors import UnknownRangeError
from dagster_tiktok.sheet.grid import Grid
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.mismatched_links import find_mismatched_links, parse_hyperlink
from dagster_tiktok.sheet.write.computed_cells import (
    ComputedCells,
    exclude_computed,
    planned_cells,
)
from dagster_tiktok.sheet.write.consistent_read import read_computed
from dagster_tiktok.sheet.write.corrections import plan_corrections
from dagster_tiktok.sheet.write.delivery import Delivery
from dagster_tiktok.sheet.write.error_column import ERROR, WrittenErrors, find_foreign_error
from dagster_tiktok.sheet.write.plan import (
    CellWrite,
    Conflict,
    RowOutcome,
    WritePlan,
    plan_writeback,
    safe_text,
)
from dagster_tiktok.sheet.write.ranges import as_ranges
from dagster_tiktok.sheet.write.verification import verify_header_and_arrays

log = logging.getLogger(__name__)


class Tab(Protocol):
    """The calls that a write needs, each one request (retried where that is safe)."""

    @property
    def client_email(self) -> str: ...

    def read_values(self) -> Grid: ...
    def read_formulas(self) -> Grid: ...
    def cells(self, ranges: Sequence[Mapping[str, int]], fields: str) -> Any: ...
    def update(self, data: Sequence[dict[str, Any]], *, typed: bool = False) -> None: ...


@dataclass(frozen=True)
class WriteReport:
    """What became of outcomes, by source key.

    A key that stands in `conflicts` and in `written` was written into some of its rows only.
    """

    written: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    cells: int = 0
    corrected: int = 0
    """Cells that were written again, or got back what they held, after the check."""
    warnings: tuple[str, ...] = ()
    """Columns that were left alone: formulas compute them, or they hold what the team wrote."""


class OutcomeWriter:
    """One write of outcomes into one tab. `attempts` and `max_wait` as in `retrying`."""

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
        self._delivery = Delivery(tab)
        self._computed: ComputedCells | None = None

    def write(self, outcomes: Sequence[RowOutcome]) -> WriteReport:
        """Raises ConfigurationError, TransientError, ServiceUnavailableError."""
        delivery = self._delivery
        first, warnings = self._plan(outcomes)
        delivery.conflicts |= {*first.conflicts}
        corrected = 0
        if first.writes:
            self._send(first, first)
            after = verify_header_and_arrays(
                self._tab.read_values, self._restore, first, delivery, self._computed
            )
            corrections = self._plan_corrections(after, first)
            delivery.conflicts |= {*corrections.conflicts}
            corrected = len(corrections.cells())
            if corrected:
                self._send(corrections, first)
        cells = sum(len(plan.cells()) for plan in delivery.sent)
        return _report(first, delivery.conflicts, warnings, cells, corrected)

    def _plan(self, outcomes: Sequence[RowOutcome]) -> tuple[WritePlan, tuple[str, ...]]:
        for attempt in range(2):
            values, computed = read_computed(
                self._tab,
                lambda grid: planned_cells(plan_writeback(grid, outcomes, self._timezone)),
            )
            foreign_error = find_foreign_error(
                values,
                find_layout(values),
                {safe_text(outcome.reason) for outcome in outcomes if outcome.reason},
                self._written_before,
            )
            left_alone = frozenset([ERROR] if foreign_error else [])
            plan = plan_writeback(values, outcomes, self._timezone, left_alone)
            try:
                writable = exclude_computed(plan, computed)
            except ConfigurationError:
                # Once more: a row that was deleted between the two reads looks the same.
                if attempt:
                    raise
                continue
            self._computed = computed
            rows = [write.row_number for write in writable.plan.writes]
            column = plan.layout["Post URL"]
            links = {row: parse_hyperlink(computed.formula(row, column)) for row in rows}
            mismatched = find_mismatched_links(values, plan.layout, rows, links)
            warnings = [
                *writable.warnings,
                *mismatched,
                *([foreign_error] if foreign_error else []),
            ]
            return writable.plan, tuple(warnings)
        raise AssertionError("the second attempt returns or raises")

    def _send(self, plan: WritePlan, first: WritePlan) -> None:
        """Writes `plan`; after a failure reads again and writes what `first` still lacks."""
        unknown_range = False
        for attempt in retrying(self._attempts, self._max_wait):
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    plan = self._plan_corrections(self._tab.read_values(), first)
                if not plan.cells():
                    return
                try:
                    self._delivery.send(plan)
                except UnknownRangeError as error:
                    # The tab was renamed or cut since it was read: read again, write once more.
                    if unknown_range:
                        raise
                    unknown_range = True
                    raise TransientError(str(error), retry_after=0.0) from None

    def _plan_corrections(self, after: Grid, first: WritePlan) -> WritePlan:
        wanted = self._delivery.without_rejected(first)
        return plan_corrections(after, wanted, self._delivery.sent, self._computed)

    def _restore(self, cells: list[CellWrite]) -> None:
        for typed in (False, True):
            data = as_ranges([cell for cell in cells if cell.typed == typed])
            if data:
                for attempt in retrying(self._attempts, self._max_wait):
                    with attempt:
                        self._tab.update(data, typed=typed)


def _report(
    first: WritePlan,
    conflicts: set[Conflict],
    warnings: tuple[str, ...],
    cells: int,
    corrected: int,
) -> WriteReport:
    ordered = sorted(conflicts, key=lambda conflict: (conflict.source_key, conflict.text))
    in_conflict = {conflict.source_key for conflict in conflicts if not conflict.written}
    keys = dict.fromkeys(write.source_key for write in first.writes)
    written = tuple(key for key in keys if key not in in_conflict)
    log.info(
        "sheets outcomes written=%d already=%d conflicts=%d cells=%d corrected=%d",
        len(written),
        len(first.already),
        len(ordered),
        cells,
        corrected,
    )
    for warning in warnings:
        log.warning("sheet: %s", warning)
    return WriteReport(written, first.already, tuple(ordered), cells, corrected, warnings)
