"""Formulas that may fill other cells than their own, and how far their output may reach.

What a formula fills can't be read from its text: `IMPORTXML` may show one value or a thousand. So a
reach is what cannot be ruled out. It ends at each cell that somebody typed or that has a formula of
its own: Sheets shows an array only where nothing stands in its way.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dagster_tiktok.sheet.grid import column_index, column_name
from dagster_tiktok.text import split_formula

# Their output is no larger than the ranges that they are given.
_SHRINKING = "ARRAYFORMULA|CHOOSECOLS|CHOOSEROWS|FILTER|FREQUENCY|MAP|SCAN|SORT|SORTN|UNIQUE"
_GROWING = (
    "ARRAY_CONSTRAIN|BYCOL|BYROW|EXPAND|FLATTEN|GOOGLEFINANCE|HSTACK|IMPORTDATA|IMPORTFEED|"
    "IMPORTHTML|IMPORTRANGE|IMPORTXML|MAKEARRAY|MMULT|QUERY|RANDARRAY|REDUCE|REGEXEXTRACT|"
    "SEQUENCE|SPLIT|TOCOL|TOROW|TRANSPOSE|TREND|GROWTH|LINEST|LOGEST|VSTACK|WRAPCOLS|WRAPROWS"
)
# These pass an array on; SUM, COUNT, JOIN and the like make one value of it.
_PASSING = "IF|IFERROR|IFNA|IFS|INDEX|LET|SWITCH|CHOOSE|LAMBDA|OFFSET|INDIRECT|XLOOKUP"
_OUTERMOST = re.compile(r"\s*([A-Z][A-Z0-9_.]*)\s*\(", re.IGNORECASE)
_IS_ARRAY = re.compile(rf"{_SHRINKING}|{_GROWING}", re.IGNORECASE)
_IS_PASSING = re.compile(_PASSING, re.IGNORECASE)
_ARRAY_INSIDE = re.compile(rf"\b(?:{_SHRINKING}|{_GROWING})\s*\(|\{{", re.IGNORECASE)
_GROWS_INSIDE = re.compile(rf"\b(?:{_GROWING}|INDIRECT|OFFSET)\s*\(", re.IGNORECASE)
# Sheets has ten million cells: a number of more digits is no row.
_RANGE = re.compile(
    r"\$?(?P<c0>[A-Z]{1,3})\$?(?P<r0>[0-9]{0,7}):\$?(?P<c1>[A-Z]{1,3})\$?(?P<r1>[0-9]{0,7})"
    r"(?![0-9])",
    re.IGNORECASE,
)
_TYPED_OUT = re.compile(r"\{([^{}]*)\}")
FAR = 10**6


@dataclass(frozen=True)
class Anchor:
    """A formula that may fill other cells. Row from 1, column from 0; the ends are included.

    `is_sized` says that the formula itself tells how large its output may be.
    """

    row: int
    column: int
    end_row: int
    end_column: int
    name: str
    is_sized: bool = True

    @property
    def cell(self) -> str:
        return f"{column_name(self.column)}{self.row}"


def parse_array(row: int, column: int, formula: str) -> Anchor | None:
    """The formula as an array, None if it gives one value."""
    body = formula.lstrip("=+ ")
    outermost = _OUTERMOST.match(body)
    if body.startswith("{"):
        name = "{…}"
    elif outermost and (
        _IS_ARRAY.fullmatch(outermost[1])
        or (_IS_PASSING.fullmatch(outermost[1]) and _ARRAY_INSIDE.search(body))
    ):
        name = outermost[1].upper()
    else:
        return None
    if _GROWS_INSIDE.search(body):
        return Anchor(row, column, FAR, FAR, name, is_sized=False)
    height, width = _size_of_braces(body) if body.startswith("{") else _size(body)
    if (height, width) == (1, 1):
        return None
    return Anchor(row, column, min(row + height - 1, FAR), min(column + width - 1, FAR), name)


def _size_of_braces(body: str) -> tuple[int, int]:
    lines = split_formula(body[1 : body.rfind("}")], ";")
    sizes = [[_size(part) for part in split_formula(line, ",\\")] for line in lines]
    return (
        sum(max(height for height, _ in parts) for parts in sizes),
        max(sum(width for _, width in parts) for parts in sizes),
    )


def _size(text: str) -> tuple[int, int]:
    """How many rows and columns an expression may give, at most, by the ranges that it names."""
    height = width = 1
    if text.lstrip().startswith("{"):
        height, width = _size_of_braces(text.strip())
    for match in _TYPED_OUT.finditer(text):
        height = max(height, 1 + match[1].count(";"))
        width = max(width, 1 + match[1].count(",") + match[1].count("\\"))
    for match in _RANGE.finditer(text):
        width = max(width, abs(_index(match["c1"]) - _index(match["c0"])) + 1)
        end = match["r1"]
        height = max(height, abs(int(end) - int(match["r0"] or 1)) + 1 if end else FAR)
    return height, width


def _index(name: str) -> int:
    return column_index(name.upper())


class ArrayReach:
    """Which anchors may lie over a cell.

    One pass from the top down: an anchor is given up at the row in which nothing of its output can
    be left. Two of one column never reach the same row, so that the work is at most the number of
    cells, and for columns of formulas the number of formulas.

    Arguments:
        anchors: in any order.
        blocked: cells that no array of another cell fills, row to columns in ascending order.
        rows: those of which is asked.
    """

    def __init__(
        self,
        anchors: Iterable[Anchor],
        blocked: Mapping[int, Sequence[int]],
        rows: Iterable[int],
    ) -> None:
        self.steps = 0
        """How many anchors were looked at, over all rows."""
        self._over: dict[int, list[tuple[Anchor, int]]] = {}
        begins: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            begins.setdefault(anchor.row, []).append(anchor)
        asked = {*rows}
        active: list[tuple[Anchor, int]] = []
        for row in sorted({*begins, *asked, *blocked}):
            active += [(anchor, anchor.end_column) for anchor in begins.get(row, ())]
            if not active:
                continue
            self.steps += len(active)
            columns = blocked.get(row, ())
            active = [
                (anchor, end)
                for anchor, end in ((a, _cut(a, row, e, columns)) for a, e in active)
                if row <= anchor.end_row and end >= anchor.column
            ]
            if row in asked and active:
                self._over[row] = active

    def over(self, row: int, column: int) -> Iterable[Anchor]:
        """The anchors whose output may lie over the cell, their own cell not counted."""
        for anchor, end in self._over.get(row, ()):
            if anchor.column <= column <= end and (anchor.row, anchor.column) != (row, column):
                yield anchor


def _cut(anchor: Anchor, row: int, end: int, blocked: Sequence[int]) -> int:
    """The last column that the anchor may fill in this row and below."""
    first = anchor.column + 1 if row == anchor.row else anchor.column
    at = bisect_left(blocked, first)
    return min(end, blocked[at] - 1) if at < len(blocked) else end
