"""The first check of a tab after a write: is its header row still there, and every array intact?

`corrections` compares the rows below. Here is what has to be repaired before it can: an array that
the write broke takes the whole write back; a header that the write overwrote is written again;
a tab that lost a required column gets its cells back, and the write ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.grid import Grid, column_name
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.write.array_repair import undo_array_break
from dagster_tiktok.sheet.write.computed_cells import (
    ComputedCells,
    array_output_error,
    find_broken_arrays,
)
from dagster_tiktok.sheet.write.deleted_columns import plan_restores_without_header
from dagster_tiktok.sheet.write.delivery import Delivery
from dagster_tiktok.sheet.write.header_repair import HeaderRepair, repair_header
from dagster_tiktok.sheet.write.plan import CellWrite, Conflict, WritePlan

_NAMED_ROWS = 5

Restore = Callable[[list[CellWrite]], None]
"""Writes cells, with retries."""


def verify_header_and_arrays(
    read_values: Callable[[], Grid],
    restore: Restore,
    first: WritePlan,
    delivery: Delivery,
    computed: ComputedCells | None,
) -> Grid:
    """Reads the tab after the write, and repairs its header row and arrays where needed.

    Arguments:
        first: the plan that was written.
        computed: what formulas computed before the write.

    Returns: the tab as it is then.

    Raises:
        ConfigurationError: an array was broken, and the write was taken back; or the tab can no
            longer be used, and the cells that were overwritten by mistake got their values back.
    """
    after = read_values()
    computed = computed or ComputedCells(first.grid, first.grid)
    broken = find_broken_arrays(after, first.grid, computed, header_is_gone=not _has_header(after))
    if broken:
        restore(undo_array_break(after, first, delivery.sent, broken, computed))
        raise array_output_error(first.grid.title, broken[0], "Status")
    repair = repair_header(after, first, delivery.sent)
    if repair:
        delivery.conflicts |= {
            Conflict(first.writes[0].source_key, _lost_header_message(repair, at), written=True)
            for at in repair.lost
        }
        restore(list(repair.cells))
        after = read_values()
    if not _has_header(after):
        _restore_and_raise(restore, after, first, delivery, computed)
    return after


def _restore_and_raise(
    restore: Restore, after: Grid, first: WritePlan, delivery: Delivery, computed: ComputedCells
) -> NoReturn:
    """Restores what the write overwrote on a tab that can no longer be used, and says why."""
    cells, rows = plan_restores_without_header(after, first, delivery.sent, computed)
    restore(cells)
    try:
        find_layout(after)
    except ConfigurationError as error:
        if not rows:
            raise
        named = ", ".join(map(str, rows[:_NAMED_ROWS])) + (", …" * (len(rows) > _NAMED_ROWS))
        raise ConfigurationError(
            f"{error} The tab was changed at the moment of a write; please check row"
            f"{'s' if len(rows) > 1 else ''} {named}."
        ) from None
    raise AssertionError("the caller found no header")


def _has_header(grid: Grid) -> bool:
    try:
        find_layout(grid)
    except ConfigurationError:
        return False
    return True


def _lost_header_message(repair: HeaderRepair, column: int) -> str:
    return (
        "rows and columns moved while the row was written, and the header of a new column was "
        f"overwritten; please check the headers in row {repair.row} (column {column_name(column)}, "
        "or one next to it)"
    )
