"""What `spreadsheets.get` tells of cells beyond their values: links under texts, merges.

https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets/cells#CellData
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dagster_tiktok.sandbox.sheets import formulas
from dagster_tiktok.sandbox.sheets.a1 import Area, Box, parse_area
from dagster_tiktok.sandbox.sheets.book import Book, Cell, FormulaCell, LinkCell, Tab, rendered

_HYPERLINK = re.compile(r"=\s*HYPERLINK\s*\(\s*\"(?P<link>[^\"]+)\"\s*[,)]", re.IGNORECASE)
# Sheets makes a link of a URL that is typed, and of nothing that stands beside other text.
_TYPED_LINK = re.compile(r"https?://\S+\Z")


def grid_data(book: Book, tab: Tab, boxes: Sequence[Box]) -> list[dict[str, Any]]:
    """`sheets[].data`: a block for each range that was asked for, else the whole tab.

    As Google does it, what is 0 or empty is left out.
    """
    seen = formulas.shown(book, tab).rows
    blocks = []
    for box in boxes or [tab.bounded(Area())]:
        block: dict[str, Any] = {}
        if box.row:
            block["startRow"] = box.row
        if box.column:
            block["startColumn"] = box.column
        rows = []
        for row in range(box.row, min(box.end_row, len(seen))):
            columns = range(box.column, min(box.end_column, len(seen[row])))
            cells = [_cell_data(_at(tab.rows, row, i), seen[row][i]) for i in columns]
            while cells and not cells[-1]:
                cells.pop()
            rows.append({"values": cells} if cells else {})
        if rows:
            block["rowData"] = rows
        blocks.append(block)
    return blocks


def merges_of(tab: Tab) -> dict[str, Any]:
    """`{"merges": […]}`, or nothing where no cells are merged."""
    boxes = [tab.bounded(parse_area(text, text)) for text in tab.merges]
    merges = [
        {
            "sheetId": tab.gid,
            "startRowIndex": box.row,
            "endRowIndex": box.end_row,
            "startColumnIndex": box.column,
            "endColumnIndex": box.end_column,
        }
        for box in boxes
    ]
    return {"merges": merges} if merges else {}


def _cell_data(typed: Cell, value: Cell) -> dict[str, Any]:
    text = str(rendered(value, "FORMATTED_VALUE", dates_as_text=True))
    data: dict[str, Any] = {"formattedValue": text} if text else {}
    if typed != "":
        # Nothing was entered where an array fills the cell.
        data["userEnteredValue"] = _entered(typed)
    if isinstance(typed, LinkCell) and typed.chip:
        properties = {"uri": typed.link}
        data["chipRuns"] = [{"chip": {"richLinkProperties": properties}}]
    elif isinstance(typed, LinkCell):
        data["hyperlink"] = typed.link
    elif isinstance(typed, FormulaCell):
        if match := _HYPERLINK.match(typed.formula):
            data["hyperlink"] = match["link"]
    elif isinstance(typed, str) and _TYPED_LINK.match(typed):
        data["hyperlink"] = typed
    return data


def _entered(typed: Cell) -> dict[str, Any]:
    """An `ExtendedValue`."""
    if isinstance(typed, FormulaCell):
        return {"formulaValue": typed.formula}
    value = rendered(typed, "UNFORMATTED_VALUE", dates_as_text=False)
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"stringValue" if isinstance(value, str) else "numberValue": value}


def _at(rows: Sequence[Sequence[Cell]], row: int, column: int) -> Cell:
    return rows[row][column] if row < len(rows) and column < len(rows[row]) else ""
