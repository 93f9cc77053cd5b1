"""Rows that hold the same under the same headers, wherever rows and columns stand now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dagster_tiktok.sheet.grid import Cell, cell_at, cell_text
from dagster_tiktok.sheet.write.column_changes import ColumnChanges

Texts = tuple[str, ...]
_NOTHING: frozenset[int] = frozenset()


class RowMatcher:
    """What rows of two moments hold in the columns that are known at both."""

    def __init__(self, columns: ColumnChanges) -> None:
        self._pairs = sorted(columns.pairs.items())

    def before(self, row: Sequence[Cell], hit: frozenset[int] = _NOTHING) -> Texts:
        """A row of the first moment, without the columns (as they stand now) that were hit."""
        return _texts(row, (old for now, old in self._pairs if now not in hit))

    def after(self, row: Sequence[Cell], hit: frozenset[int] = _NOTHING) -> Texts:
        """A row of the second moment."""
        return _texts(row, (now for now, _ in self._pairs if now not in hit))


def _texts(row: Sequence[Cell], columns: Iterable[int]) -> Texts:
    return tuple(
        # Fractions may be `NOW()` or `RAND()`, which change at each reading.
        "" if isinstance(value := cell_at(row, column), float) else cell_text(value)
        for column in columns
    )
