"""Repairs a header row that a write overwrote, because rows (and perhaps columns) moved.

What was sent to each cell of the row tells which headers were overwritten. The others, and what
stands below, tell which column is which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.grid import Cell, Grid, cell_at, cell_text
from dagster_tiktok.sheet.read.layout import HEADER_SEARCH_ROWS, find_layout
from dagster_tiktok.sheet.write.plan import CellWrite, WritePlan

_SAME_HEADER = 3.0


@dataclass(frozen=True)
class HeaderRepair:
    """The cells that repair the header row. `lost` are columns whose header is not known: they
    were inserted just before the write, and it overwrote their header."""

    row: int
    cells: tuple[CellWrite, ...] = ()
    lost: tuple[int, ...] = ()


def repair_header(after: Grid, first: WritePlan, sent: Sequence[WritePlan]) -> HeaderRepair | None:
    """None where the write hit no header, or where it is not certain which."""
    sent_to: dict[int, dict[int, set[str]]] = {}
    for plan in sent:
        for write in plan.writes:
            for name, value in write.cells.items():
                places = sent_to.setdefault(write.row_number, {})
                places.setdefault(plan.layout[name], set()).add(cell_text(value))
    header = first.grid.row(first.layout.header_row)
    number = _header_row(after, header, sent_to)
    if number is None:
        return None
    hit = {
        column
        for column, texts in sent_to[number].items()
        if cell_text(cell_at(after.row(number), column)) in texts
    }
    return _repair(after, first, number, hit, sent_to) if hit else None


def _header_row(
    after: Grid, header: Sequence[Cell], sent_to: Mapping[int, Mapping[int, AbstractSet[str]]]
) -> int | None:
    """The header row, if something was sent to its place; without one, what is left of it."""
    try:
        number = find_layout(after).header_row
        return number if number in sent_to else None
    except ConfigurationError:
        pass
    texts = {text for cell in header if (text := cell_text(cell))}
    best, most = None, 0
    for number in sorted(sent_to):
        if number > HEADER_SEARCH_ROWS + 1:
            break
        left = [
            text
            for column, cell in enumerate(after.row(number))
            if (text := cell_text(cell)) and text not in sent_to[number].get(column, ())
        ]
        kept = sum(text in texts for text in left)
        if kept > most and 2 * kept >= len(left):
            best, most = number, kept
    return best


def _repair(
    after: Grid,
    first: WritePlan,
    number: int,
    hit: AbstractSet[int],
    sent_to: Mapping[int, Mapping[int, AbstractSet[str]]],
) -> HeaderRepair | None:
    then, now = first.grid.row(first.layout.header_row), after.row(number)
    width = max(len(now), *(column + 1 for column in hit))
    below_then = _below(first.grid, first.layout.header_row, len(then), {})
    below_now = _below(after, number, width, sent_to)

    def score(old: int, new: int) -> float | None:
        alike = _alike(below_then[old], below_now[new])
        if new in hit:
            return 0.5 + alike
        a, b = cell_text(cell_at(then, old)), cell_text(cell_at(now, new))
        return _SAME_HEADER + alike if a == b else None

    pairs = _aligned(len(then), width, score)
    cells = [
        CellWrite(number, new, cell_at(then, old))
        for new, old in pairs.items()
        if cell_text(cell_at(now, new)) != cell_text(cell_at(then, old))
    ]
    lost = sorted(hit - pairs.keys())
    cells += [CellWrite(number, new, "") for new in lost if cell_text(cell_at(now, new))]
    if not cells and not lost:
        return None
    repaired = [[*row] for row in after.rows]
    repaired[number - 1] += [""] * (width - len(repaired[number - 1]))
    for cell in cells:
        repaired[number - 1][cell.column] = cell.value
    try:
        layout = find_layout(replace(after, rows=repaired), left_alone=frozenset())
    except ConfigurationError:
        return None
    return HeaderRepair(number, tuple(cells), tuple(lost)) if layout.header_row == number else None


def _below(
    grid: Grid, header_row: int, width: int, sent_to: Mapping[int, Mapping[int, AbstractSet[str]]]
) -> list[Counter[str]]:
    """What stands in each column below the header, without what was sent there."""
    found: list[Counter[str]] = [Counter() for _ in range(width)]
    for number, row in enumerate(grid.rows[header_row:], start=header_row + 1):
        places = sent_to.get(number, {})
        for column, cell in enumerate(row[:width]):
            text = cell_text(cell)
            if text and text not in places.get(column, ()):
                found[column][text] += 1
    return found


def _alike(then: Counter[str], now: Counter[str]) -> float:
    """0 to 1: how much of what stands in two columns is the same."""
    total = then.total() + now.total()
    return 2 * (then & now).total() / total if total else 0.5


def _aligned(old: int, new: int, score: Callable[[int, int], float | None]) -> dict[int, int]:
    """Columns now to columns then, in order, with the highest sum of scores."""
    scores = {
        (i, j): value for i in range(old) for j in range(new) if (value := score(i, j)) is not None
    }
    best = [[0.0] * (new + 1) for _ in range(old + 1)]
    for i in reversed(range(old)):
        for j in reversed(range(new)):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            if (i, j) in scores:
                best[i][j] = max(best[i][j], scores[i, j] + best[i + 1][j + 1])
    pairs: dict[int, int] = {}
    i = j = 0
    while i < old and j < new:
        if (i, j) in scores and best[i][j] == scores[i, j] + best[i + 1][j + 1]:
            pairs[j] = i
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs
