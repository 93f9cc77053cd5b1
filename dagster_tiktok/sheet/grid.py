"""The tab as it was read: ragged rows of plain values, and how a cell becomes text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeAlias

Cell: TypeAlias = "str | int | float | bool | None"
"""A value as Sheets gives it unformatted. A date is a number of days since 1899-12-30."""

# Zero-width space and (non-)joiners, word joiner, byte order mark: pasted along, never seen.
_INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


class LinkedCell(str):
    """The link under a cell that shows something else: `label`."""

    label: Cell

    def __new__(cls, link: str, label: Cell) -> LinkedCell:
        cell = super().__new__(cls, link)
        cell.label = label
        return cell


class UnreadLink(str):
    """What a cell shows under which a link may be, that could not be read now."""


@dataclass(frozen=True)
class Merge:
    """Merged cells. Rows count from 1, columns from 0; the ends are included."""

    row: int
    column: int
    end_row: int
    end_column: int


_CELL_TYPES = {str, int, float, bool, type(None)}


@dataclass(frozen=True)
class Grid:
    """All cells of a tab at one moment. Row 1 is `rows[0]`; what lies beyond a row is empty."""

    title: str
    rows: Sequence[Sequence[Cell]]
    own_headers: Mapping[str, str] = field(default_factory=dict)
    """What the sheet calls a column, by the column's name: `GOOGLE_SHEET_COLUMNS`."""
    merges: tuple[Merge, ...] = ()
    """Merged cells, where they were asked for."""

    def row(self, number: int) -> Sequence[Cell]:
        return self.rows[number - 1] if 0 < number <= len(self.rows) else ()


def parse_grid(response: Any) -> Grid:
    """The tab in a `values:batchGetByDataFilter` response. Raises ValueError for another form."""
    title, first, rows = grids_of_response(response)[0]
    if first:
        raise ValueError("not the range of a whole tab")
    return Grid(title, rows)


def grids_of_response(response: Any) -> list[tuple[str, int, list[list[Cell]]]]:
    """The ranges of a `values:batchGetByDataFilter` response, each from row 1 on.

    Returns: the tab's title, the first column (from 0) and the rows, one a range, at least one.

    Raises:
        ValueError: the response has another form.
    """
    try:
        found = [item["valueRange"] for item in response["valueRanges"]]
        places = [_tab_and_column(item["range"]) for item in found]
        # Google leaves `values` out where a range is empty; null or anything else is not empty.
        values = [item.get("values", []) for item in found]
    except (KeyError, TypeError, AttributeError):
        raise ValueError("not the values of a tab") from None
    if not found:
        raise ValueError("no values at all")
    for rows in values:
        if type(rows) is not list or not set(map(type, rows)) <= {list}:
            raise ValueError("not a list of rows")
        if not set(map(type, chain.from_iterable(rows))) <= _CELL_TYPES:
            raise ValueError("cells that are no plain values")
    return [(*place, rows) for place, rows in zip(places, values, strict=True)]


def cell_at(row: Sequence[Cell], column: int) -> Cell:
    """The value in `column` (from 0), "" beyond the row's end."""
    value = row[column] if column < len(row) else ""
    return "" if value is None else value


def cell_text(value: Cell) -> str:
    """The value as one line of text: NFC, white space (also line breaks) collapsed and trimmed.

    Control and invisible characters and halves of surrogate pairs, which no reader and no
    database can use, are dropped.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if not isinstance(value, str):
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if value.isascii() and value.isprintable():
        return " ".join(value.split()) if " " in value else str(value)
    visible = "".join(map(_visible, value.translate(_INVISIBLE)))
    return " ".join(unicodedata.normalize("NFC", visible).split())


def has_no_value(value: Cell) -> bool:
    """Whether the cell holds no value now: its formula failed, or is still being computed.

    Also where the link under it could not be read.
    """
    if isinstance(value, UnreadLink):
        return True
    return isinstance(value, str) and value.strip().casefold() in _NO_VALUES


_NO_VALUES = {
    text.casefold()
    for text in (
        "#N/A", "#REF!", "#ERROR!", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!",
        "#CALC!", "#GETTING_DATA", "#CONNECT!", "#BLOCKED!", "#FIELD!", "#UNKNOWN!", "#BUSY!",
        "#NV", "#BEZUG!", "#FEHLER!", "#WERT!", "#ZAHL!", "#REF", "#ERREUR!", "#NOM?", "#VALEUR!",
        "#NOMBRE!", "#VALOR!", "#NOME?", "#RIF!", "#VALORE!", "#ERRORE!",
        "#¡REF!", "#¡VALOR!", "#¡NUM!", "#¡DIV/0!", "#¿NOMBRE?", "#N/D", "#ADR!", "#ARG!",
        "#NAZWA?", "#LICZBA!", "#N/B", "#NB", "#WAARDE!", "#NAAM?", "#VERW!", "#GETAL!",
        "#ССЫЛКА!", "#ЗНАЧ!", "#ИМЯ?", "#ЧИСЛО!", "#ДЕЛ/0!", "#Н/Д",  # noqa: RUF001
        "Loading data...", "Chargement...", "Cargando...", "Carregando...", "Caricamento...",
        "Загрузка...",
        "Loading...", "Loading\u2026", "Loading", "Wird geladen...", "Wird geladen\u2026",
    )
}  # fmt: skip


def tab_title(value_range: str) -> str:
    """The title in a range such as `'My tab'!A1:Z1000`. Raises ValueError if there is none."""
    title, column = _tab_and_column(value_range)
    if column:
        raise ValueError("not the range of a whole tab")
    return title


def _tab_and_column(value_range: str) -> tuple[str, int]:
    """The title and the first column of a range that begins in row 1. Raises ValueError."""
    title, separator, cells = value_range.rpartition("!")
    start = re.match(r"([A-Z]{1,3})1(:|\Z)", cells)
    if not separator or not start:
        raise ValueError("not a range from row 1 on")
    if len(title) >= 2 and title[0] == title[-1] == "'":
        title = title[1:-1].replace("''", "'")
    return title, column_index(start[1])


def column_index(name: str) -> int:
    """0 for `A`, 26 for `AA`."""
    index = 0
    for letter in name:
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


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return " " if category == "Cc" else character
