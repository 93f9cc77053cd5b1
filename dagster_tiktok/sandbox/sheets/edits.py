"""What users do to a sheet while the pipeline works: insert, delete, sort, type, rename.

An edit is a JSON object; `do` names it:

    {"do": "insert", "at": 3, "rows": [["…"]]}      rows that now begin at row 3
    {"do": "delete", "rows": [3, 4]}
    {"do": "sort", "column": "B", "descending": false, "header_rows": 1}
    {"do": "set", "cell": "C5", "value": "Ready to Scrape"}
    {"do": "append", "rows": [["…"]]}
    {"do": "insert_column", "at": "B", "header": "Notes", "header_row": 1}
    {"do": "delete_column", "at": "B"}
    {"do": "move_column", "at": "B", "to": "D"}     stands at D afterwards
    {"do": "rename", "title": "November"}
    {"do": "protect", "range": "F3:F3"}             the service account may not edit it; a column
                                                    is "F:F"
    {"do": "link", "cell": "A3", "text": "Watch", "link": "https://…", "chip": false}
    {"do": "merge", "range": "F3:F5"}               keeps the first cell's value
    {"do": "unprotect"}                             all of the tab

Rows count from 1, values are understood as typed. Without `gid` the first tab is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagster_tiktok.sandbox.sheets.a1 import column_index, parse_area
from dagster_tiktok.sandbox.sheets.book import (
    Book,
    Cell,
    DateCell,
    FormulaCell,
    LinkCell,
    Tab,
    entered,
)


class EditError(ValueError):
    """The edit cannot be understood."""


def apply_edits(book: Book, edits: Iterable[Mapping[str, Any]]) -> None:
    """Applies the edits in order and saves the book. Raises EditError."""
    for edit in edits:
        tab = book.tab_of_gid(int(edit["gid"])) if "gid" in edit else book.tabs[0]
        if tab is None:
            raise EditError(f"no tab has the gid {edit['gid']}")
        try:
            _apply(tab, edit)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise EditError(f"{edit.get('do')}: {error!r}") from error
    book.save()


def _apply(tab: Tab, edit: Mapping[str, Any]) -> None:
    action = edit["do"]
    if action == "insert":
        at = int(edit["at"]) - 1
        tab.rows[at:at] = _typed_rows(edit["rows"])
    elif action == "append":
        tab.rows.extend(_typed_rows(edit["rows"]))
    elif action == "delete":
        for row in sorted({int(row) for row in edit["rows"]}, reverse=True):
            if row < 1:
                raise EditError(f"rows count from 1, not {row}")
            del tab.rows[row - 1]
    elif action == "sort":
        _sort(tab, column_index(edit["column"]), edit)
    elif action == "set":
        area = parse_area(edit["cell"], edit["cell"])
        tab.set(area.row, area.column, entered(edit["value"]))
    elif action.endswith("_column"):
        _change_columns(tab, action, edit)
    else:
        _mark(tab, edit)


def _change_columns(tab: Tab, action: str, edit: Mapping[str, Any]) -> None:
    at = column_index(edit["at"])
    if action == "insert_column":
        _insert_column(tab, at, edit)
    elif action == "delete_column":
        _take_column(tab, at)
        tab.column_count = max(1, tab.column_count - 1)
    elif action == "move_column":
        to = column_index(edit["to"])
        for row, cell in enumerate(_take_column(tab, at)):
            if to < len(tab.rows[row]):
                tab.rows[row].insert(to, cell)
            elif cell != "":
                tab.set(row, to, cell)
    else:
        raise EditError(f"unknown edit {action!r}")


def _mark(tab: Tab, edit: Mapping[str, Any]) -> None:
    action = edit["do"]
    if action == "link":
        area = parse_area(edit["cell"], edit["cell"])
        link = LinkCell(str(edit["text"]), str(edit["link"]), bool(edit.get("chip")))
        tab.set(area.row, area.column, link)
    elif action == "merge":
        _merge(tab, edit["range"])
    elif action == "rename":
        tab.title = str(edit["title"])
    elif action == "protect":
        parse_area(edit["range"], edit["range"])
        tab.protected.append(edit["range"])
    elif action == "unprotect":
        tab.protected.clear()
    else:
        raise EditError(f"unknown edit {action!r}")


def _merge(tab: Tab, text: str) -> None:
    box = tab.bounded(parse_area(text, text))
    for row in range(box.row, box.end_row):
        for column in range(box.column, box.end_column):
            if (row, column) != (box.row, box.column):
                tab.set(row, column, "")
    tab.merges.append(text)


def _typed_rows(rows: Iterable[Iterable[Any]]) -> list[list[Cell]]:
    if isinstance(rows, str) or any(isinstance(row, str) for row in rows):
        raise EditError("rows is a list of lists of cells")
    return [[entered(value) for value in row] for row in rows]


def _sort(tab: Tab, column: int, edit: Mapping[str, Any]) -> None:
    head = int(edit.get("header_rows", 1))
    body = tab.rows[head:]
    filled = [row for row in body if column < len(row) and row[column] != ""]
    blank = [row for row in body if not (column < len(row) and row[column] != "")]
    filled.sort(key=lambda row: _rank(row[column]), reverse=bool(edit.get("descending")))
    tab.rows[head:] = filled + blank


def _rank(cell: Cell) -> tuple[int, float, str]:
    # Sheets sorts numbers and dates before text, text before truth values, blanks always last.
    if isinstance(cell, bool):
        return (2, float(cell), "")
    if isinstance(cell, DateCell):
        return (0, float(cell.serial), "")
    if isinstance(cell, (int, float)):
        return (0, float(cell), "")
    if isinstance(cell, LinkCell):
        return (1, 0.0, cell.text.casefold())
    return (1, 0.0, (cell.formula if isinstance(cell, FormulaCell) else cell).casefold())


def _insert_column(tab: Tab, at: int, edit: Mapping[str, Any]) -> None:
    for row in tab.rows:
        if len(row) > at:
            row.insert(at, "")
    tab.column_count += 1
    tab.set(int(edit.get("header_row", 1)) - 1, at, str(edit.get("header", "")))


def _take_column(tab: Tab, at: int) -> list[Cell]:
    """Takes a column out; what it held, by row."""
    return [row.pop(at) if at < len(row) else "" for row in tab.rows]
