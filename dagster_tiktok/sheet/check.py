"""What `dagster-tiktok doctor` finds out about a tab, without changing a cell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from dagster_tiktok.sheet.grid import Grid, cell_at, column_name
from dagster_tiktok.sheet.read.cell_links import FIELDS as LINK_FIELDS
from dagster_tiktok.sheet.read.cell_links import parse_links
from dagster_tiktok.sheet.read.headers import normalize_header
from dagster_tiktok.sheet.read.layout import WRITTEN_IF_PRESENT, Layout, find_layout
from dagster_tiktok.sheet.read.mismatched_links import find_mismatched_links, link_ranges
from dagster_tiktok.sheet.read.rows import READY, parse_status, read_rows
from dagster_tiktok.sheet.tab import Tab
from dagster_tiktok.sheet.write.computed_cells import exclude_computed, planned_cells
from dagster_tiktok.sheet.write.consistent_read import read_computed
from dagster_tiktok.sheet.write.error_column import ERROR, WrittenErrors, find_foreign_error
from dagster_tiktok.sheet.write.plan import WritePlan, plan_probe, rows_by_key
from dagster_tiktok.sheet.write.protected_cells import ProtectedCells, find_protected_cells


@dataclass(frozen=True)
class SheetCheck:
    """What `doctor` shows of a sheet that can be used."""

    tab: str
    client_email: str
    header_row: int
    written_columns: tuple[str, ...]
    missing_columns: tuple[str, ...]
    """Columns that would be written if the tab had them."""
    renamed_headers: Mapping[str, str]
    """The tab's own header of each column that it calls by another name, by column."""
    protected: tuple[str, ...]
    """Cells of ready rows that may not be written, the first few."""
    can_write: bool
    """Whether `Status` may be written in at least one of the rows that were tried."""
    filled_rows: int
    ready_rows: int
    warnings: tuple[str, ...]


def check_tab(tab: Tab, timezone: tzinfo, written_before: WrittenErrors | None) -> SheetCheck:
    """Reads the tab and tries whether it may be written.

    Arguments:
        written_before: as in `SheetClient.write_outcomes`; without it `Error` is not judged.

    Raises: ConfigurationError, TransientError, ServiceUnavailableError.
    """
    tab.gid()
    grid, computed = read_computed(tab, lambda grid: planned_cells(_plan_ready_rows(grid)))
    layout = find_layout(grid)
    rows = read_rows(tab.with_merges(grid), layout, timezone)
    foreign_error = written_before and find_foreign_error(grid, layout, (), written_before)
    # Also where no row is ready: the next one would meet the same.
    writable = exclude_computed(_plan_ready_rows(grid), computed)
    probe = writable.plan
    if not rows.ready:
        probe = exclude_computed(plan_probe(grid, layout, ()), computed).plan
    mismatched = _mismatched_links(tab, grid, layout)
    protected = find_protected_cells(tab.update, probe.cells(), layout["Status"])
    return SheetCheck(
        tab=grid.title,
        client_email=tab.client_email,
        header_row=layout.header_row,
        written_columns=(
            "Status",
            *(
                name
                for name in WRITTEN_IF_PRESENT
                if name in layout and not (foreign_error and name == ERROR)
            ),
        ),
        missing_columns=tuple(
            name
            for name in WRITTEN_IF_PRESENT
            if name not in layout and name not in layout.left_alone
        ),
        renamed_headers={
            name: header
            for name, header in layout.headers.items()
            if normalize_header(header) != normalize_header(name)
        },
        protected=_protected_messages(protected, layout, tab.client_email),
        can_write=protected.any_row or not protected.cells,
        filled_rows=rows.filled_rows,
        ready_rows=rows.ready_rows,
        warnings=(
            *(conflict.text for conflict in writable.plan.conflicts),
            *writable.warnings,
            *([foreign_error] if foreign_error else []),
            *mismatched,
            *map(str, rows.warnings),
        ),
    )


def _plan_ready_rows(grid: Grid) -> WritePlan:
    """What a run would write into the ready rows; without one, into all that hold a link."""
    layout = find_layout(grid)
    keyed = [number for key, rows in rows_by_key(grid, layout).items() if key for number in rows]
    status = layout["Status"]
    ready = [row for row in keyed if parse_status(cell_at(grid.row(row), status)) == READY]
    return plan_probe(grid, layout, sorted(ready or keyed))


def _mismatched_links(tab: Tab, grid: Grid, layout: Layout) -> list[str]:
    """The warnings about ready rows that show one post and link to another: one request."""
    status = layout["Status"]
    rows = range(layout.header_row + 1, len(grid.rows) + 1)
    ready = [row for row in rows if parse_status(cell_at(grid.row(row), status)) == READY]
    if not ready:
        return []
    response = tab.cells(link_ranges(layout, ready), LINK_FIELDS)
    links = parse_links(response, layout["Post URL"])
    return find_mismatched_links(grid, layout, ready, links)


def _protected_messages(protected: ProtectedCells, layout: Layout, email: str) -> tuple[str, ...]:
    names = {at: name for name, at in layout.columns.items()}
    messages = [
        f"the cell {column_name(cell.column)}{cell.row_number} (row {cell.row_number}, column "
        f'"{names[cell.column]}") is protected; allow {email} to edit it (Data > Protect sheets '
        "and ranges)"
        for cell in protected.cells
    ]
    if not protected.complete:
        messages.append("more cells may be protected: not all were tried")
    return tuple(messages)
