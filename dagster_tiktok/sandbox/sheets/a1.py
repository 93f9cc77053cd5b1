"""A1 notation, as the Sheets interface reads and writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CELLS = re.compile(
    r"\$?(?P<c0>[A-Za-z]{0,3})\$?(?P<r0>[0-9]{0,7})"
    r"(?P<to>:\$?(?P<c1>[A-Za-z]{0,3})\$?(?P<r1>[0-9]{0,7}))?\Z"
)
_PLAIN_TITLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class RangeError(ValueError):
    """The text is no range."""


@dataclass(frozen=True)
class Area:
    """Rows `row` to `end_row` and columns `column` to `end_column`, from 0, ends excluded.

    None as an end means: to the end of the tab.
    """

    row: int = 0
    column: int = 0
    end_row: int | None = None
    end_column: int | None = None


@dataclass(frozen=True)
class Box:
    """An area whose ends are known."""

    row: int
    column: int
    end_row: int
    end_column: int


def parse_range(text: str) -> tuple[str | None, Area]:
    """The tab's title (None for the first visible one) and the area that `text` names."""
    title, separator, cells = text.rpartition("!")
    if separator:
        return _unquoted(title), parse_area(cells, text)
    if text.startswith("'"):
        return _unquoted(text), Area()
    match = _CELLS.match(text)
    if match and (match["to"] or (match["c0"] and match["r0"])):
        return None, parse_area(text, text)
    return text, Area()


def parse_area(cells: str, whole: str) -> Area:
    """Raises RangeError naming `whole`, the range as it was given."""
    match = _CELLS.match(cells)
    if not match or not cells or cells.endswith(":"):
        raise RangeError(f"Unable to parse range: {whole}")
    row = int(match["r0"]) - 1 if match["r0"] else 0
    column = column_index(match["c0"]) if match["c0"] else 0
    if match["to"]:
        end_row = int(match["r1"]) if match["r1"] else None
        end_column = column_index(match["c1"]) + 1 if match["c1"] else None
    else:
        if not (match["c0"] and match["r0"]):
            raise RangeError(f"Unable to parse range: {whole}")
        end_row, end_column = row + 1, column + 1
    if row < 0 or (end_row is not None and end_row < 1):
        raise RangeError(f"Unable to parse range: {whole}")
    if end_row is not None and end_row <= row:
        row, end_row = end_row - 1, row + 1
    if end_column is not None and end_column <= column:
        column, end_column = end_column - 1, column + 1
    return Area(row, column, end_row, end_column)


def format_range(title: str, box: Box) -> str:
    """The range in full, with both ends: `'My tab'!A1:C9`."""
    first = f"{column_name(box.column)}{box.row + 1}"
    last = f"{column_name(box.end_column - 1)}{box.end_row}"
    return f"{quoted(title)}!{first}" + ("" if first == last else f":{last}")


def quoted(title: str) -> str:
    """The title as it stands before the `!`."""
    if _PLAIN_TITLE.match(title) and not _CELLS.match(title):
        return title
    return "'" + title.replace("'", "''") + "'"


def column_index(name: str) -> int:
    """0 for `A`, 26 for `AA`."""
    index = 0
    for letter in name.upper():
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def column_name(index: int) -> str:
    """`A` for 0, `AA` for 26."""
    name = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def _unquoted(title: str) -> str:
    if len(title) >= 2 and title[0] == title[-1] == "'":
        return title[1:-1].replace("''", "'")
    return title
