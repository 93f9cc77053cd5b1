"""Which column is which: the header row, found by what it says.

People rename, move and repeat columns, and put a title above the header. A column is found by the
header that `GOOGLE_SHEET_COLUMNS` gives it, else by its own name, else by a usual other name,
ignoring case, space, punctuation and emoji. What could mean two things is not guessed at: a
required column that is there twice is an error, any other is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.grid import Cell, Grid, cell_text, column_name
from dagster_tiktok.sheet.read.foreign_values import (
    WRITTEN_FORMATS,
    find_foreign_value,
    foreign_value_message,
)
from dagster_tiktok.sheet.read.headers import (
    ALIASES,
    COLUMNS,
    READ_IF_PRESENT,
    REQUIRED,
    WANTED,
    WRITTEN_IF_PRESENT,
    lookup_names,
    normalize_header,
)
from dagster_tiktok.text import quoted

__all__ = [
    "READ_IF_PRESENT",
    "REQUIRED",
    "WANTED",
    "WRITTEN_IF_PRESENT",
    "Layout",
    "find_layout",
]

HEADER_SEARCH_ROWS = 20
"""Headers are searched in these rows: further down are the posts."""

_SHOWN_HEADERS = 20
_DATA_MARKS = ("://", "@", "www.")
"""A cell that holds one of these is data, not a header, and is not shown."""


@dataclass(frozen=True)
class Layout:
    """Where the header stands and which column (from 0) holds what.

    `headers` are the columns' texts in the sheet, by column.
    """

    header_row: int
    columns: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    left_alone: frozenset[str] = frozenset()
    """Columns of the pipeline's that hold what the team wrote: they are not in `columns`."""

    def __getitem__(self, name: str) -> int:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def without(self, names: frozenset[str]) -> Layout:
        """The layout in which these columns, too, are left alone."""
        return replace(
            self,
            columns={name: at for name, at in self.columns.items() if name not in names},
            left_alone=self.left_alone | names,
        )


def find_layout(grid: Grid, *, left_alone: frozenset[str] | None = None) -> Layout:
    """The first of the top rows in which every required header stands.

    Arguments:
        left_alone: the columns that an earlier read found to hold what the team wrote. After a
            write they are not judged again: a value of ours that landed in a wrong column
            because columns moved must not be taken for a remark.

    Raises:
        ConfigurationError: naming `GOOGLE_SHEET_URL`, what is missing and what was found instead.
    """
    best: tuple[int, _Headers] | None = None
    for number, row in enumerate(grid.rows[:HEADER_SEARCH_ROWS], start=1):
        headers = _Headers(row, grid.own_headers)
        if not headers.missing and not headers.duplicated:
            layout = headers.layout(number)
            if left_alone is None:
                return _without_foreign_columns(layout, grid)
            return layout.without(left_alone)
        if headers.known and (best is None or headers.known > best[1].known):
            best = number, headers
    raise ConfigurationError(_header_error_message(grid, best))


def _without_foreign_columns(layout: Layout, grid: Grid) -> Layout:
    """Takes out the columns that hold what the pipeline never writes there."""
    found = {
        name: place
        for name, pattern in WRITTEN_FORMATS.items()
        if name in layout
        and (
            place := find_foreign_value(
                grid, layout.header_row, layout[name], layout.headers[name], pattern
            )
        )
    }
    if not found:
        return layout
    warnings = [
        foreign_value_message(layout.headers[name], text, row)
        for name, (row, text) in found.items()
    ]
    return replace(
        layout,
        columns={name: at for name, at in layout.columns.items() if name not in found},
        warnings=(*layout.warnings, *warnings),
        left_alone=frozenset(found),
    )


class _Headers:
    """What one row would be as the header row."""

    def __init__(self, row: Sequence[Cell], own: Mapping[str, str]) -> None:
        self._texts = [cell_text(value) for value in row]
        self.columns: dict[str, int] = {}
        self.missing: list[str] = []
        self.duplicated: list[str] = []
        self._own = own
        self._ambiguous: dict[str, str] = {}
        self._places: dict[str, list[int]] = {}
        for index, text in enumerate(self._texts):
            for name in lookup_names(text) if text else ():
                self._places.setdefault(name, []).append(index)
        # The sheet's own headers first: a column that one of them names is no other column.
        for name, header in own.items():
            self._place(name, self._places.get(normalize_header(header), []))
        self._own_missing = [
            (name, header)
            for name, header in own.items()
            if not self._places.get(normalize_header(header))
        ]
        for name in COLUMNS:
            if name not in self.columns and name not in self._ambiguous:
                self._place(name, self._usual(name))
        self._sort_out()

    @property
    def known(self) -> int:
        return len(self.columns) + len(self._ambiguous)

    def layout(self, number: int) -> Layout:
        headers = {name: self._texts[index] for name, index in self.columns.items()}
        absent = [
            name for name in WANTED if name not in self.columns and name not in self._ambiguous
        ]
        warnings = [_without(absent)] if absent else []
        warnings += [self._not_found(name, header) for name, header in self._own_missing]
        warnings += [f"{text} and is left alone" for text in self._ambiguous.values()]
        return Layout(number, self.columns, tuple(warnings), headers)

    def _not_found(self, name: str, header: str) -> str:
        instead = (
            f"{quoted(self._texts[self.columns[name]])} is taken instead"
            if name in self.columns
            else "nothing is taken instead"
        )
        return (
            f"the tab has no column {quoted(header)}, which GOOGLE_SHEET_COLUMNS names for "
            f'"{name}": {instead}; correct the setting or the header'
        )

    def _usual(self, name: str) -> list[int]:
        found = self._free(self._places.get(normalize_header(name), ()))
        if found:
            return found
        aliases = ALIASES.get(name, ())
        return self._free(index for alias in aliases for index in self._places.get(alias, ()))

    def _free(self, indexes: Iterable[int]) -> list[int]:
        return sorted({*indexes} - {*self.columns.values()})

    def _place(self, name: str, found: Sequence[int]) -> None:
        if len(found) == 1:
            self.columns[name] = found[0]
        elif found:
            self._ambiguous[name] = self._ambiguity_message(name, found)

    def _ambiguity_message(self, name: str, found: Sequence[int]) -> str:
        """The columns as they are called: which of them is meant, only people know."""
        own = self._texts[found[0]]
        if all(normalize_header(self._texts[index]) == normalize_header(own) for index in found):
            places = " and ".join(column_name(index) for index in found)
            meant = (
                "" if normalize_header(own) == normalize_header(name) else f' (it means "{name}")'
            )
            return f"the column {quoted(own)}{meant} appears twice ({places})"
        named = [f"{quoted(self._texts[index])} ({column_name(index)})" for index in found]
        return f'the column "{name}" could be {" or ".join(named)}'

    def _sort_out(self) -> None:
        for name in REQUIRED:
            if name in self._ambiguous:
                self.duplicated.append(self._ambiguous[name])
            elif name not in self.columns:
                given = self._own.get(name)
                called = f" (GOOGLE_SHEET_COLUMNS calls it {quoted(given)})" if given else ""
                self.missing.append(f'"{name}"{called}')


def _without(absent: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in absent)
    them = "it" if len(absent) == 1 else "them"
    return (
        f"no column {names}: posts are stored without {them}; if the sheet has {them} under "
        "another name, say so in GOOGLE_SHEET_COLUMNS"
    )


def _header_error_message(grid: Grid, best: tuple[int, _Headers] | None) -> str:
    tab = f'GOOGLE_SHEET_URL: the tab "{grid.title}"'
    if best is None:
        wanted = " and ".join(f'"{name}"' for name in REQUIRED)
        if not any(cell_text(value) for row in grid.rows for value in row):
            return (
                f"{tab} cannot be used: it is empty and needs the headers {wanted}; add "
                "a header row, or add the gid of the right tab to the URL (#gid=…)."
            )
        return (
            f"{tab} cannot be used: none of its first {HEADER_SEARCH_ROWS} rows "
            f"holds the headers {wanted}{_most_like_headers(grid)}; rename the columns, say in "
            "GOOGLE_SHEET_COLUMNS what they are called, or add the gid of the right tab to the "
            "URL (#gid=…)."
        )
    number, headers = best
    problems = list(headers.duplicated)
    if headers.missing:
        one = len(headers.missing) == 1
        missing = ", ".join(headers.missing)
        problems.insert(0, f"the column {missing} is missing" if one else f"{missing} are missing")
    return (
        f"{tab} cannot be used: {'; '.join(problems)}. The headers in row {number} are "
        f"{', '.join(_shown_headers(grid.row(number)))}: rename or add columns there, or say in "
        "GOOGLE_SHEET_COLUMNS what they are called."
    )


def _most_like_headers(grid: Grid) -> str:
    """The first row with two texts at least: a title above it stands alone."""
    rows = [_shown_headers(row) for row in grid.rows[:HEADER_SEARCH_ROWS]]
    for least in (2, 1):
        for number, shown in enumerate(rows, start=1):
            if len(shown) >= least:
                return f" (row {number} holds {', '.join(shown)})"
    return ""


def _shown_headers(row: Sequence[Cell]) -> list[str]:
    """What a row holds that may be headers: texts, in quotes, without what is surely data."""
    texts = [cell_text(value) for value in row if isinstance(value, str)]
    headers = [text for text in texts if text and not any(mark in text for mark in _DATA_MARKS)]
    return [quoted(text) for text in headers[:_SHOWN_HEADERS]]
