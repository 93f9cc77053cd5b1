"""Which column is which: the header row, found by what it says.

People rename, move and repeat columns, and put a title above the header. A column is found by its
header, ignoring case, space and punctuation. What could mean two things is not guessed at: a
required header that stands twice is an error, an optional one is left alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.grid import Cell, Grid, cell_text, column_name

REQUIRED = ("Post URL", "VA", "Creator", "Set ID", "Type", "Status")
READ_IF_PRESENT = ("Date",)
WRITTEN_IF_PRESENT = ("Error", "Scraped At", "Views", "Likes", "Comments", "Shares", "Slides")

_HEADER_SEARCH_ROWS = 20
"""A header further down than this is not looked for: it would be found in people's data."""

_ALIASES = {
    "Post URL": ("url", "link", "postlink", "tiktokurl", "tiktoklink"),
    "VA": ("vaname",),
    "Creator": ("creatorname",),
    "Type": ("posttype",),
    "Date": ("postdate", "createddate"),
}
_SHOWN_HEADERS = 20
_SHOWN_HEADER_CHARACTERS = 30


@dataclass(frozen=True)
class Layout:
    """Where the header stands and which column (from 0) holds what."""

    header_row: int
    columns: Mapping[str, int]
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> int:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns


def find_layout(grid: Grid) -> Layout:
    """The first of the top rows in which every required header stands.

    Raises:
        ConfigurationError: naming `GOOGLE_SHEET_URL`, what is missing and what was found instead.
    """
    best: tuple[int, _Headers] | None = None
    for number, row in enumerate(grid.rows[:_HEADER_SEARCH_ROWS], start=1):
        headers = _Headers(row)
        if not headers.missing and not headers.doubled:
            return Layout(number, headers.columns, tuple(headers.warnings))
        if headers.known >= 2 and (best is None or headers.known > best[1].known):
            best = number, headers
    raise ConfigurationError(_what_is_wrong(grid, best))


class _Headers:
    """What one row would be as the header row."""

    def __init__(self, row: Sequence[Cell]) -> None:
        self.texts = [text for text in map(cell_text, row) if text]
        self.columns: dict[str, int] = {}
        self.missing: list[str] = []
        self.doubled: list[str] = []
        self.warnings: list[str] = []
        places: dict[str, list[int]] = {}
        for index, value in enumerate(row):
            name = _normal(cell_text(value))
            if name:
                places.setdefault(name, []).append(index)
        for header in REQUIRED + READ_IF_PRESENT + WRITTEN_IF_PRESENT:
            self._place(header, places)

    @property
    def known(self) -> int:
        return len(self.columns) + len(self.doubled)

    def _place(self, header: str, places: Mapping[str, list[int]]) -> None:
        found = places.get(_normal(header))
        if found is None:
            aliases = _ALIASES.get(header, ())
            found = sorted(index for alias in aliases for index in places.get(alias, ()))
        if len(found) == 1:
            self.columns[header] = found[0]
        elif header in REQUIRED:
            if found:
                self.doubled.append(f'"{header}" stands twice ({_named(found)})')
            else:
                self.missing.append(header)
        elif found:
            self.warnings.append(
                f'the column "{header}" stands twice ({_named(found)}) and is left alone'
            )


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


def _named(columns: Sequence[int]) -> str:
    return " and ".join(column_name(index) for index in columns)


def _what_is_wrong(grid: Grid, best: tuple[int, _Headers] | None) -> str:
    if best is None:
        wanted = ", ".join(f'"{name}"' for name in REQUIRED)
        state = (
            f"none of its first {_HEADER_SEARCH_ROWS} rows holds the headers"
            if any(cell_text(value) for row in grid.rows for value in row)
            else "it is empty and needs the headers"
        )
        return (
            f'GOOGLE_SHEET_URL: the tab "{grid.title}" cannot be used: {state} {wanted}; add a '
            "header row, or let the address end in the gid of the right tab."
        )
    number, headers = best
    problems = list(headers.doubled)
    if headers.missing:
        missing = ", ".join(f'"{name}"' for name in headers.missing)
        one = len(headers.missing) == 1
        problems.insert(0, f"the column {missing} is missing" if one else f"{missing} are missing")
    texts = [f'"{text[:_SHOWN_HEADER_CHARACTERS]}"' for text in headers.texts[:_SHOWN_HEADERS]]
    return (
        f'GOOGLE_SHEET_URL: the tab "{grid.title}" cannot be used: {"; ".join(problems)}. '
        f"The headers in row {number} are {', '.join(texts)}: rename or add columns there."
    )
