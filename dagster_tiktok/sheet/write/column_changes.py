"""Columns at two moments: which are the same, and where one of between may stand.

People insert, delete, move and rename columns; only the header rows of the two moments are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from dagster_tiktok.sheet.grid import Cell, cell_text

_MAX_CHANGES = 5
"""Of columns, of which each may have come before or after a moment: 32 cases."""


@dataclass(frozen=True)
class _Step:
    """A column in the order of both moments together; `now` is None where it is gone.

    `change` is None for a column that did not change; a moved one stands at two steps.
    """

    now: int | None
    change: int | None = None
    is_after_change: bool = False


class ColumnChanges:
    """What became of the columns between two header rows.

    `pairs` are columns as they stand now to where they stood; a header that was renamed in its
    place is the same column. `inserted` are those that stand in no pair.
    """

    def __init__(
        self, then: Sequence[Cell], now: Sequence[Cell], *, are_deleted: bool = False
    ) -> None:
        """`are_deleted`: the last headers that are missing are so with their columns."""
        old, new = [cell_text(cell) for cell in then], [cell_text(cell) for cell in now]
        if not are_deleted or len(new) > len(old):
            _pad(old, new)
        self._width, self._wider = len(new), len(new) - len(old)
        matcher = SequenceMatcher(a=old, b=new, autojunk=False)
        blocks = [
            (list(range(a0, a1)), list(range(b0, b1)), kind == "equal")
            for kind, a0, a1, b0, b1 in matcher.get_opcodes()
        ]
        moved = _moved(old, new, blocks)
        self.pairs: dict[int, int] = {}
        self.lost: set[int] = set()
        """Columns that stood there and stand in no pair."""
        self._steps: list[_Step] = []
        changes = 0
        numbers = {new_at: number for number, new_at in enumerate(moved.values())}
        changes = len(numbers)
        for olds, news, equal in blocks:
            left = [at for at in olds if at not in moved]
            came = [at for at in news if at not in numbers]
            if equal or len(left) == len(came):
                self.pairs.update(zip(came, left, strict=True))
                renamed = dict(zip(left, came, strict=True))
            else:
                renamed = {}
                self.lost.update(left)
            # What came stands before what went: where both are there, either may be first.
            for at in news:
                if at in numbers:
                    self._steps.append(_Step(at, numbers[at], is_after_change=True))
                    self.pairs[at] = next(o for o, n in moved.items() if n == at)
                elif not renamed:
                    self._steps.append(_Step(at, changes, is_after_change=True))
                    changes += 1
            for at in olds:
                if at in moved:
                    self._steps.append(_Step(moved[at], numbers[moved[at]]))
                elif renamed:
                    self._steps.append(_Step(renamed[at]))
                else:
                    self._steps.append(_Step(None, changes))
                    changes += 1
        self._changes = changes
        self.inserted = {at for at in range(len(new)) if at not in self.pairs}

    def before(self, column: int) -> int | None:
        """Where a column stood, also one beyond the headers; None for one that is new, or lost."""
        return column - self._wider if column >= self._width else self.pairs.get(column)

    def places(self, columns: Iterable[int], *, undone: bool = False) -> list[dict[int, int]]:
        """Where what was written to these columns between the moments may stand now.

        One for each case: the write fell between the changes. Without a change there is one.

        Arguments:
            undone: also that a column was inserted or deleted before the write and that this was
                undone after it, of which the header rows show nothing.
        """
        columns = list(columns)
        found: list[dict[int, int]] = []
        for order in self._orders(undone=undone):
            places: dict[int, int] = {}
            for column in columns:
                beyond = column - len(order) + self._width
                place = order[column] if column < len(order) else beyond
                if place is not None:
                    places[column] = place
            if places not in found:
                found.append(places)
        return found

    def _orders(self, *, undone: bool) -> Iterator[list[int | None]]:
        """The columns in the order of the write, each by where it stands now."""
        count = min(self._changes, _MAX_CHANGES)
        orders = [
            [
                step.now
                for step in self._steps
                # Changes beyond those that are counted go with the last one.
                if step.change is None
                or step.is_after_change == bool(bits >> min(step.change, count - 1) & 1)
            ]
            for bits in reversed(range(2**count))
        ]
        yield from orders
        if undone:
            for order in (orders[0], *orders[1:][-1:]):
                for at in range(len(order) + 1):
                    yield [*order[:at], None, *order[at:]]
                    yield [*order[:at], *order[at + 1 :]]


def _pad(old: list[str], new: list[str]) -> None:
    """Trailing empty headers are not read."""
    shorter, longer = sorted((old, new), key=len)
    if longer[: len(shorter)] == shorter:
        shorter.extend([""] * (len(longer) - len(shorter)))


def _moved(
    old: Sequence[str], new: Sequence[str], blocks: Sequence[tuple[list[int], list[int], bool]]
) -> dict[int, int]:
    """Columns that stand in another order now, from where they stood: their header says so."""
    olds = [at for left, _, equal in blocks for at in left if not equal and old[at]]
    news = [at for _, came, equal in blocks for at in came if not equal and new[at]]
    once = {text for text, count in Counter(old[at] for at in olds).items() if count == 1}
    once &= {text for text, count in Counter(new[at] for at in news).items() if count == 1}
    by_text = {new[at]: at for at in news}
    return {at: by_text[old[at]] for at in olds if old[at] in once}
