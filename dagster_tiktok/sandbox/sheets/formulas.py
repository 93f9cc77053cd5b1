"""What formulas show: a small part of what Sheets computes, enough for arrays to spill and break.

Evaluated are literals (`="x"`, `=12`), references (`=B2`), `=B2*2` and `=B2+C2`,
`HYPERLINK(…, "label")`, `IF(range<>"", "x", "y")`, and arrays: `{…}` of all these, and
`ARRAYFORMULA`, `QUERY`, `FILTER`, `SORT`, `UNIQUE`, `IMPORTRANGE`, whose output is the first range
that they name (their conditions are not looked at). Everything else is `#NAME?`.

As in Sheets an array fills the cells to its right and below, and if one of them holds anything,
the whole output is withheld and the formula's own cell shows `#REF!`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dagster_tiktok.sandbox.sheets.a1 import Area, RangeError, parse_range
from dagster_tiktok.text import split_formula

if TYPE_CHECKING:
    from dagster_tiktok.sandbox.sheets.book import Book, Cell, Tab

_ARRAY_FUNCTION = re.compile(
    r"=?\s*(ARRAYFORMULA|QUERY|FILTER|SORT|UNIQUE|IMPORTRANGE)\s*\((?P<inner>.*)\)\Z",
    re.IGNORECASE | re.DOTALL,
)
_IF = re.compile(
    r"=?\s*IF\s*\((?P<range>[^<>,]+?)\s*<>\s*\"\"\s*,(?P<rest>.*)\)\Z", re.IGNORECASE | re.DOTALL
)
_HYPERLINK = re.compile(
    r"HYPERLINK\s*\(\s*\"[^\"]*\"\s*,\s*\"(?P<label>[^\"]*)\"\s*\)\Z", re.IGNORECASE
)
_REFERENCE = re.compile(
    r"(?:'[^']+'!|[A-Za-z0-9_]+!)?\$?[A-Z]{1,3}\$?[0-9]*(?::\$?[A-Z]{0,3}\$?[0-9]*)?", re.IGNORECASE
)
_RANGE = re.compile(
    r"(?:'[^']+'!|[A-Za-z0-9_]+!)?\$?[A-Z]{1,3}\$?[0-9]*:\$?[A-Z]{1,3}\$?[0-9]*", re.IGNORECASE
)
_SUM = re.compile(r"(?P<a>[^+*]+)(?P<do>[+*])(?P<b>[^+*]+)\Z")
_MAX_DEPTH = 8

_Block = list[list["Cell"]]


class _UnknownFunctionError(Exception):
    """The formula is none of those that are evaluated; the text is what its cell shows."""


@dataclass
class Shown:
    """A tab as it is seen. `spilled` holds the places (from 0) that an array fills."""

    rows: _Block
    spilled: set[tuple[int, int]] = field(default_factory=set)


def shown(book: Book, tab: Tab, depth: int = 0) -> Shown:
    """The tab with the values of its formulas; the tab itself where it has none."""
    anchors = [
        (row, column)
        for row, cells in enumerate(tab.rows)
        for column, cell in enumerate(cells)
        if hasattr(cell, "formula")
    ]
    if not anchors:
        return Shown(tab.rows)
    found = Shown([list(row) for row in tab.rows])
    evaluation = _Evaluation(book, tab, found, depth)
    # Twice: a formula may read what one further down gives.
    for _ in range(2):
        found.spilled.clear()
        for row, column in anchors:
            evaluation.place(row, column, tab.rows[row][column])
    return found


class _Evaluation:
    def __init__(self, book: Book, tab: Tab, found: Shown, depth: int) -> None:
        self._book, self._tab, self._found, self._depth = book, tab, found, depth

    def place(self, row: int, column: int, cell: Any) -> None:
        try:
            given = cell.shown is not None
            block = [[cell.shown]] if given else self._block(cell.formula.removeprefix("=").strip())
        except _UnknownFunctionError as error:
            block = [[str(error)]]
        height, width = len(block), max(map(len, block), default=0)
        places = [
            (row + i, column + j) for i in range(height) for j in range(width) if (i, j) != (0, 0)
        ]
        if any(_at(self._tab.rows, *place) != "" or place in self._found.spilled
               for place in places):  # fmt: skip
            block, places = [["#REF!"]], []
        self._set(row, column, block[0][0] if block and block[0] else "")
        for i, j in places:
            self._set(i, j, _at(block, i - row, j - column))
        self._found.spilled.update(places)

    def _set(self, row: int, column: int, value: Cell) -> None:
        rows = self._found.rows
        while len(rows) <= row:
            rows.append([])
        rows[row].extend([""] * (column + 1 - len(rows[row])))
        rows[row][column] = value

    def _block(self, text: str) -> _Block:
        if text.startswith("{") and text.endswith("}"):
            return self._braces(text[1:-1])
        if match := _ARRAY_FUNCTION.match(text):
            return self._array(match["inner"].strip())
        if match := _IF.match(text):
            return self._if(match["range"].strip(), match["rest"])
        if match := _HYPERLINK.match(text):
            return [[match["label"]]]
        if len(text) >= 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
            return [[text[1:-1]]]
        if re.fullmatch(r"-?[0-9]+", text):
            return [[int(text)]]
        if _REFERENCE.fullmatch(text):
            return self._range(text)
        if match := _SUM.match(text):
            a, b = (self._number(match[name].strip()) for name in "ab")
            return [[a + b if match["do"] == "+" else a * b]]
        raise _UnknownFunctionError("#NAME?")

    def _braces(self, text: str) -> _Block:
        lines: _Block = []
        for line in split_formula(text, ";"):
            blocks = [self._block(part.strip()) for part in split_formula(line, ",")]
            height = max(map(len, blocks))
            lines.extend([[cell for block in blocks for cell in _line(block, i)] for i in
                          range(height)])  # fmt: skip
        return lines

    def _array(self, inner: str) -> _Block:
        if _IF.match(inner) or inner.startswith("{") or _ARRAY_FUNCTION.match(inner):
            return self._block(inner)
        match = _RANGE.search(inner)
        if match is None:
            raise _UnknownFunctionError("#N/A")
        return self._range(match[0])

    def _if(self, range_: str, rest: str) -> _Block:
        values = [part.strip().strip('"') for part in split_formula(rest, ",")]
        yes, no = values[0], values[1] if len(values) > 1 else ""
        return [[no if _at([row], 0, 0) == "" else yes] for row in self._range(range_)]

    def _number(self, text: str) -> int | float:
        value = self._block(text)[0][0]
        if value == "":
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _UnknownFunctionError("#VALUE!")
        return value

    def _range(self, text: str) -> _Block:
        try:
            title, area = parse_range(text)
        except RangeError:
            raise _UnknownFunctionError("#REF!") from None
        if title is None or title.lower() == self._tab.title.lower():
            rows = self._found.rows
        else:
            other = self._book.tab_of_title(title)
            if other is None or self._depth >= _MAX_DEPTH:
                raise _UnknownFunctionError("#REF!")
            rows = shown(self._book, other, self._depth + 1).rows
        return _cut(rows, area)


def _cut(rows: Sequence[Sequence[Cell]], area: Area) -> _Block:
    lines = rows[area.row : area.end_row]
    width = max((len(line) for line in lines), default=0)
    end = width if area.end_column is None else area.end_column
    cut = [[_at([line], 0, j) for j in range(area.column, end)] for line in lines]
    while cut and not any(cell != "" for cell in cut[-1]) and area.end_row is None:
        cut.pop()
    return cut or [[""]]


def _line(block: _Block, index: int) -> list[Cell]:
    return block[index] if index < len(block) else [""] * len(block[0])


def _at(rows: Sequence[Sequence[Cell]], row: int, column: int) -> Cell:
    return rows[row][column] if row < len(rows) and column < len(rows[row]) else ""
