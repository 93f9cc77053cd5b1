"""Cells whose content is computed: they are never written.

A write into the output of an array (`={…}`, `IMPORTRANGE`, `QUERY`, `FILTER`, `ARRAYFORMULA`)
makes Sheets withhold all of it: the tab is empty but for our cells. So the tab is read once more
with `valueRenderOption=FORMULA` before a write. Google does not document what that gives for a cell
that an array fills, its value or nothing; both are understood: nothing beside a value is proof,
else the ranges that the formula names tell how far its output may reach.
https://developers.google.com/sheets/api/reference/rest/v4/ValueRenderOption
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.grid import Cell, Grid, LinkedCell, cell_at, cell_text, column_name
from dagster_tiktok.sheet.layout import Layout
from dagster_tiktok.sheet.writeback import Conflict, RowWrite, WritePlan

_ARRAY_FUNCTIONS = (
    "ARRAYFORMULA|ARRAY_CONSTRAIN|BYCOL|BYROW|CHOOSECOLS|CHOOSEROWS|EXPAND|FILTER|FLATTEN|"
    "FREQUENCY|GOOGLEFINANCE|HSTACK|IMPORTDATA|IMPORTFEED|IMPORTHTML|IMPORTRANGE|IMPORTXML|"
    "MAKEARRAY|MAP|MMULT|QUERY|RANDARRAY|SCAN|SEQUENCE|SORT|SORTN|SPLIT|TOCOL|TOROW|TRANSPOSE|"
    "UNIQUE|VSTACK|WRAPCOLS|WRAPROWS"
)
# These pass an array on; SUM, COUNT, JOIN and the like make one value of it.
_PASSING = "IF|IFERROR|IFNA|IFS|INDEX|LET|SWITCH|CHOOSE|LAMBDA|OFFSET|INDIRECT|XLOOKUP"
_OUTERMOST = re.compile(r"\s*([A-Z][A-Z0-9_.]*)\s*\(", re.IGNORECASE)
_ARRAY_INSIDE = re.compile(rf"\b(?:{_ARRAY_FUNCTIONS})\s*\(|\{{", re.IGNORECASE)
_RANGE = re.compile(
    r"\$?(?P<c0>[A-Z]{1,3})\$?(?P<r0>\d*):\$?(?P<c1>[A-Z]{1,3})\$?(?P<r1>\d*)", re.IGNORECASE
)
_FAR = 10**6


@dataclass(frozen=True)
class Anchor:
    """A formula that may fill other cells. Row from 1, column from 0; the ends are included."""

    row: int
    column: int
    end_row: int
    end_column: int
    name: str

    def covers(self, row: int, column: int) -> bool:
        return self.row <= row <= self.end_row and self.column <= column <= self.end_column

    @property
    def cell(self) -> str:
        return f"{column_name(self.column)}{self.row}"


class Computed:
    """What is computed on a tab.

    Arguments:
        values: the tab unformatted.
        formulas: the tab as formulas, read right before or after.
    """

    def __init__(self, values: Grid, formulas: Grid) -> None:
        self._values = values
        self._formulas: dict[tuple[int, int], str] = {}
        self._filled: set[tuple[int, int]] = set()
        for number, row in enumerate(formulas.rows, start=1):
            for column, cell in enumerate(row):
                # A text that begins with "=" reads the same both ways.
                formula = type(cell) is str and cell[:1] in ("=", "+")
                if formula and cell != cell_at(values.row(number), column):
                    self._formulas[number, column] = str(cell)
        for number, row in enumerate(values.rows, start=1):
            others = formulas.row(number)
            for column, cell in enumerate(row):
                if cell not in ("", None) and cell_at(others, column) == "":
                    self._filled.add((number, column))
        found = (_anchor(row, column, text) for (row, column), text in self._formulas.items())
        self.anchors = [anchor for anchor in found if anchor and self._shows_a_value(anchor)]

    def formula(self, row: int, column: int) -> str | None:
        return self._formulas.get((row, column))

    def all_formulas(self) -> Iterable[tuple[tuple[int, int], str]]:
        return self._formulas.items()

    def is_filled(self, row: int, column: int) -> bool:
        """Whether a formula of another cell fills this one."""
        return (row, column) in self._filled or self.anchor_over(row, column) is not None

    def anchor_over(self, row: int, column: int) -> Anchor | None:
        """The array whose output covers the cell, its own cell not counted."""
        for anchor in self.anchors:
            if (anchor.row, anchor.column) != (row, column) and anchor.covers(row, column):
                inside = any(
                    (r, c) != (anchor.row, anchor.column)
                    and anchor.row <= r <= row
                    and anchor.column <= c <= column
                    for r, c in self._formulas
                )
                # An array that shows values lies over no other formula.
                if not inside:
                    return anchor
        return None

    def _shows_a_value(self, anchor: Anchor) -> bool:
        # An array that is withheld already, or not loaded, covers nothing now.
        return cell_text(cell_at(self._values.row(anchor.row), anchor.column))[:5] != "#REF!"


@dataclass(frozen=True)
class Guarded:
    """A plan without the cells that are computed, and what is to be told about them."""

    plan: WritePlan
    warnings: tuple[str, ...] = ()


def are_of_one_moment(values: Grid, formulas: Grid, layout: Layout) -> bool:
    """Whether no row moved between the two readings, as far as the keys tell."""
    column = layout["Post URL"]
    for number in range(1, max(len(values.rows), len(formulas.rows)) + 1):
        value = cell_at(values.row(number), column)
        # The formulas are read without the links under texts.
        value = value.label if isinstance(value, LinkedCell) else value
        other = cell_at(formulas.row(number), column)
        formula = type(other) is str and other[:1] in ("=", "+")
        if value != other and not formula and (other != "" or value == ""):
            return False
    return True


def without_computed(plan: WritePlan, computed: Computed) -> Guarded:
    """The plan without computed cells; a row whose `Status` is computed becomes a conflict.

    Raises:
        ConfigurationError: an array fills the `Status` column, so that a write would empty it.
    """
    status = plan.layout["Status"]
    conflicts: list[Conflict] = []
    filled: list[RowWrite] = []
    left_out: dict[str, list[int]] = {}
    names_of: dict[str, set[str]] = {}
    kept: list[RowWrite] = []
    for write in plan.writes:
        number = write.row_number
        if computed.formula(number, status) or computed.is_filled(number, status):
            if computed.is_filled(number, status):
                filled.append(write)
            text = _status_is_computed(number, status)
            conflicts.append(Conflict(write.source_key, text, waits=True))
            continue
        kept.append(write)
        for name in write.cells:
            column = plan.layout[name]
            if computed.formula(number, column) or computed.is_filled(number, column):
                names_of.setdefault(write.source_key, set()).add(name)
                left_out.setdefault(name, []).append(number)
    if filled:
        anchor = computed.anchor_over(filled[0].row_number, status)
        endless = anchor is not None and anchor.end_row >= _FAR
        if endless or len(filled) == len(plan.writes):
            raise refused(plan.grid.title, anchor, "Status")
    writes = tuple(write.without(names_of.get(write.source_key, ())) for write in kept)
    warnings = tuple(
        f'"{name}" is computed by a formula and left alone (row {numbers[0]}'
        + (f", also in {len(numbers) - 1:,} more rows)" if len(numbers) > 1 else ")")
        for name, numbers in left_out.items()
    )
    guarded = replace(plan, writes=writes, conflicts=(*plan.conflicts, *conflicts))
    return Guarded(guarded, warnings)


def refused(title: str, anchor: Anchor | None, column: str) -> ConfigurationError:
    """What is told when an array fills what would be written."""
    by = f" in {anchor.cell} ({anchor.name})" if anchor else ""
    return ConfigurationError(
        f'GOOGLE_SHEET_URL: the column "{column}" of the tab "{title}" is the output of a '
        f"formula{by}, and writing into it would empty it; nothing was written: use a tab "
        "of plain values (copy the columns, then Edit > Paste special > Values only)."
    )


def _status_is_computed(number: int, column: int) -> str:
    return (
        f'the cell {column_name(column)}{number} ("Status") is computed by a formula; type the '
        "status instead"
    )


def _anchor(row: int, column: int, formula: str) -> Anchor | None:
    body = formula.lstrip("=+ ")
    outermost = _OUTERMOST.match(body)
    if body.startswith("{"):
        name = "{…}"
        lines = _split(body[1 : body.rfind("}")], ";")
        sizes = [[_size(part) for part in _split(line, ",\\")] for line in lines]
        width = max(sum(w for _, w in parts) for parts in sizes)
        height = sum(max(h for h, _ in parts) for parts in sizes)
    elif (outermost and re.fullmatch(_ARRAY_FUNCTIONS, outermost[1], re.IGNORECASE)) or (
        outermost
        and re.fullmatch(_PASSING, outermost[1], re.IGNORECASE)
        and _ARRAY_INSIDE.search(body)
    ):
        name = outermost[1].upper()
        height, width = _size(body)
    else:
        return None
    return Anchor(row, column, min(row + height - 1, _FAR), min(column + width - 1, _FAR), name)


def _size(text: str) -> tuple[int, int]:
    """How many rows and columns an expression may give, at most as far as it can be told."""
    ranges = list(_RANGE.finditer(text))
    if not ranges:
        return (_FAR, _FAR) if _ARRAY_INSIDE.search(text) else (1, 1)
    height = width = 1
    for match in ranges:
        width = max(width, abs(_index(match["c1"]) - _index(match["c0"])) + 1)
        ends = match["r1"]
        height = max(height, int(ends) - int(match["r0"] or 1) + 1 if ends else _FAR)
    return height, width


def _index(name: str) -> int:
    index = 0
    for letter in name.upper():
        index = index * 26 + ord(letter) - ord("A") + 1
    return index


def _split(text: str, marks: str) -> Sequence[str]:
    """The parts between marks that stand in no quotes, parentheses or braces."""
    parts, depth, quoted, start = [], 0, False, 0
    for index, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif not quoted and character in "({":
            depth += 1
        elif not quoted and character in ")}":
            depth -= 1
        elif not quoted and not depth and character in marks:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def broken_arrays(
    after: Grid, before: Grid, computed: Computed, *, header_is_gone: bool
) -> list[Anchor]:
    """Formulas that show `#REF!` now and did not before: Sheets withholds their output.

    Where the header row is gone, also those that were typed after the formulas were read.
    """
    known = dict(computed.all_formulas())
    return [
        _anchor(number, column, known.get((number, column), "="))
        or Anchor(number, column, _FAR, _FAR, "an array")
        for number, row in enumerate(after.rows, start=1)
        for column, cell in enumerate(row)
        if type(cell) is str
        and _is_ref(cell)
        and ((number, column) in known or header_is_gone)
        and not _is_ref(cell_at(before.row(number), column))
    ]


def _is_ref(cell: Cell) -> bool:
    return cell_text(cell).startswith("#REF!")
