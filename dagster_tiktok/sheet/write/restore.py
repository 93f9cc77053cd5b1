"""Restores what a cell held before a write: a value, or its formula as a formula."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dagster_tiktok.sheet.grid import Cell, column_index, column_name
from dagster_tiktok.sheet.write.computed_cells import ComputedCells
from dagster_tiktok.sheet.write.plan import CellWrite

_CELL = re.compile(
    r"\"(?:[^\"]|\"\")*\"|(?P<sheet>(?:'(?:[^']|'')*'|[\w.]+)!)?(?<![\w$])"
    r"(?P<column>\$?[A-Z]{1,3})(?P<fixed>\$?)(?P<row>[0-9]{1,7})(?![\w(])",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"(?:[^\"]|\"\")*\"")
_WHOLE_COLUMNS = re.compile(r"(?<![\w$])\$?[A-Z]{1,3}:\$?[A-Z]{1,3}(?!\w)", re.IGNORECASE)


def restore_cell(  # noqa: PLR0917  # a cell, and what is known of it
    computed: ComputedCells | None,
    place: tuple[int, int],
    value: Cell,
    old: tuple[int, int],
    pairs: Mapping[int, int],
    header_row: int,
) -> CellWrite | None:
    """The write that restores a cell: its formula as a formula, "" under an array.

    Arguments:
        place: row and column where the cell stands now.
        value: what it showed at `old`; row 0 for a cell that was not there.
        pairs: columns as they stand now to where they stood.

    Returns:
        None where its formula is not certain.
    """
    number, column = place
    if computed is None or not old[0]:
        return CellWrite(number, column, value)
    formula = computed.formula(*old)
    if formula is None:
        return CellWrite(number, column, "" if computed.is_filled(*old) else value)
    moved = shift_formula(formula, old[0], number, header_row, {o: n for n, o in pairs.items()})
    return None if moved is None else CellWrite(number, column, moved, typed=True)


def shift_formula(
    text: str,
    old_row: int,
    new_row: int,
    header_row: int,
    columns: Mapping[int, int] | None = None,
) -> str | None:
    """A row's formula where it stands now, as Sheets itself would have moved it.

    Arguments:
        columns: columns as they stood to where they stand now; None: where they stood.

    Returns:
        None where that is not certain: it refers to other rows, other tabs, or columns that are
        gone or are named without a row.
    """
    still = columns is None or all(old == new for old, new in columns.items())
    if old_row == new_row and still:
        return text
    if not still and _WHOLE_COLUMNS.search(_QUOTED.sub("", text)):
        return None
    pieces, end = [], 0
    for match in _CELL.finditer(text):
        if match["row"] is None:
            continue
        row, name = int(match["row"]), match["column"]
        if match["sheet"] or (row != old_row and (row > header_row and old_row != new_row)):
            return None
        at = column_index(name.removeprefix("$").upper())
        now = at if columns is None else columns.get(at, at if at > max(columns) else None)
        if now is None:
            return None
        dollar = "$" if name.startswith("$") else ""
        moves = row == old_row and not match["fixed"]
        pieces.append(
            f"{text[end : match.start('column')]}{dollar}{column_name(now)}{match['fixed']}"
            f"{new_row if moves else row}"
        )
        end = match.end("row")
    return "".join(pieces) + text[end:]
