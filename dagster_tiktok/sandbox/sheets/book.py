"""The sandbox's spreadsheet: tabs of cells, read and written as the Sheets interface does it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from dagster_tiktok.sandbox.sheets.a1 import Area, Box, RangeError, column_name, parse_area

_EPOCH = date(1899, 12, 30)
MAX_CELL_CHARACTERS = 50_000
# What Sheets makes of typed text where the spreadsheet's locale is en_US.
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?\Z"
)
_ISO_DATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})\Z")
_US_DATE = re.compile(r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4})\Z")


@dataclass(frozen=True)
class DateCell:
    """A number that is shown as a date: days since 1899-12-30."""

    serial: int

    def __str__(self) -> str:
        return (_EPOCH + timedelta(days=self.serial)).isoformat()


@dataclass(frozen=True)
class FormulaCell:
    """A cell whose value is computed: see `formulas`.

    `shown` is what it shows, alone, instead: for a formula that the sandbox cannot compute.
    """

    formula: str
    shown: str | int | float | None = None


@dataclass(frozen=True)
class LinkCell:
    """A text that can be clicked: a link under a title, or a smart chip."""

    text: str
    link: str
    chip: bool = False


Cell: TypeAlias = "str | int | float | bool | DateCell | FormulaCell | LinkCell"


class CellError(ValueError):
    """The values do not fit where they are to be written."""


@dataclass
class Tab:
    gid: int
    title: str
    rows: list[list[Cell]] = field(default_factory=list)
    hidden: bool = False
    column_count: int = 26
    protected: list[str] = field(default_factory=list)
    """Ranges, as `F2:F9`, that the service account may not edit. They don't move with rows."""
    merges: list[str] = field(default_factory=list)
    """Ranges, as `F2:F4`, of merged cells. They don't move with rows."""

    @property
    def row_count(self) -> int:
        return max(1000, len(self.rows))

    def bounded(self, area: Area) -> Box:
        """`area` cut to the grid. Raises RangeError for one that begins outside of it."""
        if area.row >= self.row_count or area.column >= self.column_count:
            name = f"{self.title}!{column_name(area.column)}{area.row + 1}"
            raise RangeError(
                f"Range ({name}) exceeds grid limits. Max rows: {self.row_count}, "
                f"max columns: {self.column_count}"
            )
        return Box(
            area.row,
            area.column,
            min(area.end_row or self.row_count, self.row_count),
            min(area.end_column or self.column_count, self.column_count),
        )

    def read(
        self, box: Box, *, by_columns: bool = False, rows: Sequence[list[Cell]] | None = None
    ) -> list[list[Cell]]:
        """The cells, without the empty rows and cells at the ends; `rows` instead of the tab's."""
        source = self.rows if rows is None else rows
        cut = [row[box.column : box.end_column] for row in source[box.row : box.end_row]]
        if by_columns:
            width = max(map(len, cut), default=0)
            cut = [[row[i] if i < len(row) else "" for row in cut] for i in range(width)]
        for row in cut:
            while row and row[-1] == "":
                row.pop()
        while cut and not cut[-1]:
            cut.pop()
        return cut

    def is_protected(self, row: int, column: int) -> bool:
        """Whether the cell, counted from 0, lies in a protected range."""
        for text in self.protected:
            area = parse_area(text, text)
            if (
                area.row <= row < (area.end_row or row + 1)
                and area.column <= column < (area.end_column or column + 1)
            ):  # fmt: skip
                return True
        return False

    def write(self, row: int, column: int, values: Sequence[Sequence[Any]], *, typed: bool) -> int:
        """Sets cells from this one on; null leaves one alone, "" clears it.

        Arguments:
            typed: parse the values as if a user typed them (USER_ENTERED), else keep them (RAW).

        Returns:
            The number of cells that were written.
        """
        written = 0
        for row_index, line in enumerate(values, start=row):
            for column_index, value in enumerate(line, start=column):
                if value is not None:
                    self.set(row_index, column_index, entered(value) if typed else raw(value))
                    written += 1
        return written

    def set(self, row: int, column: int, value: Cell) -> None:
        while len(self.rows) <= row:
            self.rows.append([])
        cells = self.rows[row]
        cells.extend([""] * (column + 1 - len(cells)))
        cells[column] = value


class Book:
    """A spreadsheet. With `path` it is kept in a file, and read from there if that exists."""

    def __init__(
        self, spreadsheet_id: str, title: str, tabs: Iterable[Tab], *, path: Path | None = None
    ) -> None:
        self.spreadsheet_id = spreadsheet_id
        self.title = title
        self.tabs = list(tabs)
        self.spilled_as_values = True
        """How FORMULA renders the cells that an array fills: their values, or as empty."""
        self._path = path
        if path is not None and path.exists():
            self._load(json.loads(path.read_text("utf-8")))

    def tab_of_gid(self, gid: int) -> Tab | None:
        return next((tab for tab in self.tabs if tab.gid == gid), None)

    def tab_of_title(self, title: str | None) -> Tab | None:
        """None as a title means the first visible tab. Titles ignore case, as in Sheets."""
        if title is None:
            return next((tab for tab in self.tabs if not tab.hidden), None)
        return next((tab for tab in self.tabs if tab.title.lower() == title.lower()), None)

    def add_tab(self, title: str, rows: Iterable[Iterable[Cell]], *, gid: int | None = None) -> Tab:
        taken = {tab.gid for tab in self.tabs}
        tab = Tab(max(taken, default=-1) + 101 if gid is None else gid, title, _copied(rows))
        self.tabs.append(tab)
        return tab

    def save(self) -> None:
        """Writes the file, in one step, if there is one."""
        if self._path is None:
            return
        tabs = [
            {
                "gid": tab.gid,
                "title": tab.title,
                "hidden": tab.hidden,
                "column_count": tab.column_count,
                "protected": tab.protected,
                "merges": tab.merges,
                "rows": [[_to_json(cell) for cell in row] for row in tab.rows],
            }
            for tab in self.tabs
        ]
        content = {"spreadsheet_id": self.spreadsheet_id, "title": self.title, "tabs": tabs}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        temporary.write_text(json.dumps(content), "utf-8")
        temporary.replace(self._path)

    def _load(self, content: dict[str, Any]) -> None:
        self.spreadsheet_id, self.title = content["spreadsheet_id"], content["title"]
        self.tabs = [
            Tab(
                tab["gid"],
                tab["title"],
                [[_from_json(cell) for cell in row] for row in tab["rows"]],
                tab["hidden"],
                tab["column_count"],
                tab["protected"],
                tab.get("merges", []),
            )
            for tab in content["tabs"]
        ]


def raw(value: Any) -> Cell:
    """A value as RAW stores it: as it is."""
    if not isinstance(value, str | int | float):
        raise CellError(f"Invalid values: {type(value).__name__} is no cell value")
    if isinstance(value, str) and len(value) > MAX_CELL_CHARACTERS:
        raise CellError(
            f"Your input contains more than the maximum of {MAX_CELL_CHARACTERS} characters "
            "in a single cell."
        )
    cell: Cell = value
    return cell


def entered(value: Any) -> Cell:
    """A value as Sheets understands it when a user types it."""
    if isinstance(value, LinkCell):
        return value
    cell = raw(value)
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if text.startswith("'"):
        return text[1:]
    if text[:1] in ("=", "+") and len(text) > 1 and _number(text) is None:
        return FormulaCell(text)
    if text.upper() in ("TRUE", "FALSE"):
        return text.upper() == "TRUE"
    number = _number(text)
    if number is not None:
        return number
    serial = _date_serial(text)
    return cell if serial is None else DateCell(serial)


def rendered(cell: Cell, option: str, *, dates_as_text: bool) -> str | int | float | bool:
    """A cell as the API returns it under a `valueRenderOption`."""
    if isinstance(cell, FormulaCell):
        return cell.formula if option == "FORMULA" else "#NAME?"
    if isinstance(cell, LinkCell):
        return cell.text
    if isinstance(cell, DateCell):
        return str(cell) if dates_as_text or option == "FORMATTED_VALUE" else cell.serial
    if option == "FORMATTED_VALUE" and not isinstance(cell, str):
        return str(cell).upper() if isinstance(cell, bool) else f"{cell:.15g}"
    return cell


def _number(text: str) -> int | float | None:
    if not _NUMBER.match(text):
        return None
    plain = text.replace(",", "")
    return int(plain) if plain.lstrip("+-").isdigit() else float(plain)


def _date_serial(text: str) -> int | None:
    match = _ISO_DATE.match(text) or _US_DATE.match(text)
    if match is None:
        return None
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None
    return (day - _EPOCH).days


def _copied(rows: Iterable[Iterable[Cell]]) -> list[list[Cell]]:
    return [list(row) for row in rows]


def _to_json(cell: Cell) -> Any:
    if isinstance(cell, DateCell):
        return {"date": cell.serial}
    if isinstance(cell, LinkCell):
        return {"text": cell.text, "link": cell.link, "chip": cell.chip}
    if isinstance(cell, FormulaCell):
        shown = {} if cell.shown is None else {"shown": cell.shown}
        return {"formula": cell.formula, **shown}
    return cell


def _from_json(value: Any) -> Cell:
    if isinstance(value, dict) and "link" in value:
        return LinkCell(**value)
    if isinstance(value, dict):
        return DateCell(value["date"]) if "date" in value else FormulaCell(**value)
    return raw(value)
