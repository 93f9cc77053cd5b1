"""Rows whose `Status` cell is the lower part of a merged one: they have no status of their own.

A merged cell gives its value for its first row alone, so the others look like rows that nobody
wants anything of. Only the tab's list of merges tells them apart.
https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets#GridRange
"""

from __future__ import annotations

from typing import Any

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailable
from dagster_tiktok.sheet.grid import Grid, Merge, cell_at, cell_text, column_name
from dagster_tiktok.sheet.layout import Layout, find_layout

FIELDS = "sheets(properties(sheetId,title),merges)"


def may_hide_rows(grid: Grid) -> bool:
    """Whether a row has a post and no status, and one above it has one."""
    try:
        layout = find_layout(grid, left_alone=frozenset())
    except ConfigurationError:
        return False  # Who asked for the grid looks for the header too, and tells what is wrong.
    url, status = layout["Post URL"], layout["Status"]
    above = False
    for row in grid.rows[layout.header_row :]:
        has_status = bool(cell_text(cell_at(row, status)))
        if above and not has_status and cell_text(cell_at(row, url)):
            return True
        above = above or has_status
    return False


def merges_of_answer(answer: Any, title: str) -> tuple[Merge, ...]:
    """The merges of the tab with that title.

    Raises:
        ServiceUnavailable: another form than Google documents.
    """
    try:
        return tuple(
            Merge(
                merge.get("startRowIndex", 0) + 1,
                merge.get("startColumnIndex", 0),
                int(merge["endRowIndex"]),
                int(merge["endColumnIndex"]) - 1,
            )
            for sheet in answer["sheets"]
            if sheet["properties"]["title"] == title
            for merge in sheet.get("merges", [])
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ServiceUnavailable("Google Sheets answered in an unknown form.") from None


def lower_rows(grid: Grid, layout: Layout) -> list[tuple[int, str]]:
    """The rows with a post that a merged `Status` cell hides, each merge once, and the message."""
    url, status = layout["Post URL"], layout["Status"]
    found = []
    for merge in grid.merges:
        if not merge.column <= status <= merge.end_column:
            continue
        hidden = [
            number
            for number in range(max(merge.row + 1, layout.header_row + 1), merge.end_row + 1)
            if cell_text(cell_at(grid.row(number), url))
        ]
        if hidden:
            last = f" to {hidden[-1]}" if len(hidden) > 1 else ""
            found.append(
                (
                    hidden[0],
                    f"the Status cell is merged with {column_name(status)}{merge.row}, so row"
                    f"{'s' if last else ''} {hidden[0]}{last} {'have' if last else 'has'} no "
                    "status and nothing happens there: unmerge the cells (Format > Merge cells > "
                    "Unmerge) and give each row its status",
                )
            )
    return found
