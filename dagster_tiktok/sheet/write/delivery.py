"""Sending the cells of a plan, also where some of them are protected.

Google rejects a whole request for one protected cell. So rows that were rejected together are sent
again in halves, then a single row by its columns, until only the protected cells are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from dagster_tiktok.sheet.api.errors import ProtectedError, ResponseLostError, protected_error
from dagster_tiktok.sheet.grid import column_name
from dagster_tiktok.sheet.write.plan import CellWrite, Conflict, RowWrite, WritePlan
from dagster_tiktok.sheet.write.ranges import as_ranges

MAX_REJECTED_WRITES = 40
"""For one write of outcomes: the quota is 60 writes a minute."""

log = logging.getLogger(__name__)


class WritableTab(Protocol):
    """The write request, and the account that needs the right to make it."""

    @property
    def client_email(self) -> str: ...

    def update(self, data: Sequence[dict[str, Any]], *, typed: bool = False) -> None: ...


class Delivery:
    """Sends plans to one tab, and remembers what was sent and what Google rejected."""

    def __init__(self, tab: WritableTab) -> None:
        self.sent: list[WritePlan] = []
        """Also plans whose response was lost."""
        self.conflicts: set[Conflict] = set()
        self._tab = tab
        self._protected_columns: dict[str, set[str]] = {}
        self._rejected_rows: set[tuple[str, int]] = set()
        self._rejected_writes = 0

    def send(self, plan: WritePlan) -> None:
        """Writes every cell that may be written; each other one becomes a conflict.

        Raises:
            ResponseLostError: the write may have been applied or not.
            ProtectedError: nothing could be written at all.
        """
        if not self._put(plan):
            if plan.restores and plan.writes and not self._put(replace(plan, writes=())):
                self.conflicts |= {
                    Conflict(plan.writes[0].source_key, check_row_message(cell), written=True)
                    for cell in plan.restores
                }
            self._halve(replace(plan, restores=()), list(plan.writes), known_rejected=True)

    def without_rejected(self, plan: WritePlan) -> WritePlan:
        """The plan without what Google rejected, which is not tried again."""
        return replace(
            plan,
            writes=tuple(
                write.without(self._protected_columns.get(write.source_key, ()))
                for write in plan.writes
                if (write.source_key, write.row_number) not in self._rejected_rows
            ),
        )

    def _put(self, plan: WritePlan) -> bool:
        """Whether Google accepted it. False: a cell is protected, and nothing was written."""
        for typed in (False, True):
            cells = [cell for cell in plan.cells() if cell.typed == typed]
            if not cells:
                continue
            log.info("sheets write rows=%d cells=%d", len(plan.writes), len(cells))
            try:
                self._tab.update(as_ranges(cells), typed=typed)
            except ResponseLostError:
                self.sent.append(plan)
                raise
            except ProtectedError:
                self._rejected_writes += 1
                return False
        self.sent.append(plan)
        return True

    def _halve(
        self, plan: WritePlan, writes: list[RowWrite], *, known_rejected: bool = False
    ) -> None:
        """Finds the protected cells among rows that were rejected together; writes the rest."""
        if not writes or (not known_rejected and self._put(replace(plan, writes=tuple(writes)))):
            return
        if self._rejected_writes >= MAX_REJECTED_WRITES:
            if not any(sent.writes for sent in self.sent):
                raise protected_error(self._tab.client_email)
            for write in writes:
                text = f"row {write.row_number} was not written: too many cells are protected"
                self._reject_row(write, text)
        elif len(writes) == 1:
            self._send_by_column(plan, writes[0])
        else:
            middle = len(writes) // 2
            self._halve(plan, writes[:middle])
            self._halve(plan, writes[middle:])

    def _send_by_column(self, plan: WritePlan, write: RowWrite) -> None:
        # The status first: where it is protected, the whole row is left as it is.
        if not self._put_cells(plan, write, ["Status"]):
            self._reject_row(write, self._protected_message(plan, write, "Status"))
            return
        others = [name for name in write.cells if name != "Status"]
        if others and not self._put_cells(plan, write, others):
            for name in others:
                if not self._put_cells(plan, write, [name]):
                    self._protected_columns.setdefault(write.source_key, set()).add(name)
                    text = self._protected_message(plan, write, name)
                    self.conflicts.add(Conflict(write.source_key, text, written=True))

    def _put_cells(self, plan: WritePlan, write: RowWrite, names: Iterable[str]) -> bool:
        if not {*names} & write.cells.keys():
            return True
        part = replace(write, cells={name: write.cells[name] for name in names})
        return self._put(replace(plan, writes=(part,), restores=()))

    def _reject_row(self, write: RowWrite, text: str) -> None:
        self._rejected_rows.add((write.source_key, write.row_number))
        self.conflicts.add(Conflict(write.source_key, text, waits=True))

    def _protected_message(self, plan: WritePlan, write: RowWrite, name: str) -> str:
        cell = f"{column_name(plan.layout[name])}{write.row_number}"
        return (
            f'the cell {cell} ("{name}") is protected; allow {self._tab.client_email} to edit it '
            "(Data > Protect sheets and ranges)"
        )


def check_row_message(cell: CellWrite) -> str:
    return f"rows or columns moved while the row was written; please check row {cell.row_number}"
