"""Rows whose `Status` or `Post URL` cell is the lower part of a merged cell, and so is empty.

A merged cell has its value in its first row alone, so the others look like rows without a status
or a link. Only the tab's list of merges tells them apart.
https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets#GridRange
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.api.errors import unexpected_format_error
from dagster_tiktok.sheet.grid import Grid, Merge, cell_at, cell_text, column_name
from dagster_tiktok.sheet.read.layout import Layout, find_layout

FIELDS = "sheets(properties.sheetId,merges)"


def may_hide_rows(grid: Grid) -> bool:
    """Whether a row lacks its status or its link, and one above it has one."""
    try:
        layout = find_layout(grid, left_alone=frozenset())
    except ConfigurationError:
        return False  # Who asked for the grid looks for the header too, and tells what is wrong.
    above = {"Post URL": False, "Status": False}
    for row in grid.rows[layout.header_row :]:
        has = {name: bool(cell_text(cell_at(row, layout[name]))) for name in above}
        if any(has.values()) and any(above[name] and not has[name] for name in above):
            return True
        above = {name: above[name] or has[name] for name in above}
    return False


def parse_merges(response: Any, gid: int) -> tuple[Merge, ...]:
    """The merges of the tab with that id.

    Raises:
        ServiceUnavailableError: another form than Google documents.
    """
    try:
        return tuple(
            Merge(
                merge.get("startRowIndex", 0) + 1,
                merge.get("startColumnIndex", 0),
                int(merge["endRowIndex"]),
                int(merge["endColumnIndex"]) - 1,
            )
            for sheet in response["sheets"]
            if sheet["properties"].get("sheetId", 0) == gid
            for merge in sheet.get("merges", [])
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise unexpected_format_error() from None


def find_hidden_rows(grid: Grid, layout: Layout) -> list[tuple[int, str]]:
    """The rows that a merged `Status` or `Post URL` cell hides, each merge once, and the message.

    A row counts where it has the other of the two: a post without a status, or a status without a
    post.
    """
    return [
        *_hidden(grid, layout, "Status", "Post URL", _NO_STATUS),
        *_hidden(grid, layout, "Post URL", "Status", _NO_LINK),
    ]


_UNMERGE = "unmerge the cells (Format > Merge cells > Unmerge) and give each row its"
_NO_STATUS = f"no status and nothing happens there: {_UNMERGE} status"
_NO_LINK = f"no link of {{its}} own: {_UNMERGE} link"


def _hidden(
    grid: Grid, layout: Layout, name: str, other: str, message: str
) -> Iterator[tuple[int, str]]:
    column = layout[name]
    for merge in grid.merges:
        if not merge.column <= column <= merge.end_column:
            continue
        hidden = [
            number
            for number in range(max(merge.row + 1, layout.header_row + 1), merge.end_row + 1)
            if cell_text(cell_at(grid.row(number), layout[other]))
        ]
        if hidden:
            rows = f"row {hidden[0]} has"
            if len(hidden) > 1:
                rows = f"rows {hidden[0]} to {hidden[-1]} have"
            its = "their" if len(hidden) > 1 else "its"
            yield (
                hidden[0],
                f"the {name} cell is merged with {column_name(column)}{merge.row}, so {rows} "
                f"{message.format(its=its)}",
            )
