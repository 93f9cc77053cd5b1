"""Cells whose content is computed: they are never written.

A write into the output of an array (`={…}`, `IMPORTRANGE`, `QUERY`, `FILTER`, `ARRAYFORMULA`)
makes Sheets withhold all of it: the tab is empty but for our cells. So the tab is read once more
with `valueRenderOption=FORMULA` before a write. Google does not document what that gives for a cell
that an array fills, its value or nothing; both are understood: nothing beside a value is proof,
else the ranges that the formula names tell how far its output may reach.
https://developers.google.com/sheets/api/reference/rest/v4/ValueRenderOption
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.grid import Cell, Grid, LinkedCell, cell_at, cell_text, column_name
from dagster_tiktok.sheet.read.layout import Layout
from dagster_tiktok.sheet.write.arrays import FAR, Anchor, ArrayReach, parse_array
from dagster_tiktok.sheet.write.plan import Conflict, RowWrite, WritePlan

Place = tuple[int, int]
"""A cell: row from 1, column from 0."""


class ComputedCells:
    """What is computed on a tab.

    Arguments:
        values: the tab unformatted.
        formulas: the tab as formulas, read right before or after.
        typed: cells that are known to hold what somebody typed, see `unsure`.
        filled: cells that are known to be filled by a formula of another cell.
    """

    def __init__(
        self,
        values: Grid,
        formulas: Grid,
        typed: frozenset[Place] = frozenset(),
        filled: frozenset[Place] = frozenset(),
    ) -> None:
        self._grids = values, formulas
        self._values = values
        self._formulas: dict[Place, str] = {}
        self._typed = typed
        self._filled = {*filled}
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
        found = (parse_array(row, column, text) for (row, column), text in self._formulas.items())
        self.anchors = [anchor for anchor in found if anchor and self._shows_a_value(anchor)]
        self._reach: ArrayReach | None = None
        self._filling: set[Anchor] = set()

    def formula(self, row: int, column: int) -> str | None:
        return self._formulas.get((row, column))

    def all_formulas(self) -> Iterable[tuple[Place, str]]:
        return self._formulas.items()

    def ambiguous(self, places: Iterable[Place]) -> set[Place]:
        """Those of the cells that show a value which somebody typed or an array gives.

        The two readings do not tell: ask Google what was entered there.
        """
        known = self._filled | self._typed
        return {
            place
            for place in places
            if place not in known
            and place not in self._formulas
            and cell_at(self._values.row(place[0]), place[1]) != ""
            and self.anchor_over(*place) is not None
        }

    def with_entered(self, typed: Iterable[Place], filled: Iterable[Place]) -> ComputedCells:
        """The same, where it is known what was entered in some cells."""
        values, formulas = self._grids
        typed = self._typed | frozenset(typed)
        return ComputedCells(values, formulas, typed, frozenset(self._filled | {*filled}))

    def is_filled(self, row: int, column: int) -> bool:
        """Whether a formula of another cell fills this one, or would with its next output.

        A blank cell counts where the formula itself says that it reaches so far, or where its
        output is seen in some cell. An import that shows one value alone covers nothing: a write
        that proves this wrong is taken back.
        """
        place = (row, column)
        if place in self._filled:
            return True
        if place in self._typed or place in self._formulas:
            return False
        over = list(self._reaching().over(row, column))
        return any(anchor.is_sized or anchor in self._filling for anchor in over)

    def anchor_over(self, row: int, column: int) -> Anchor | None:
        """The array whose output may cover the cell, its own cell not counted."""
        return next(iter(self._reaching().over(row, column)), None)

    def _reaching(self) -> ArrayReach:
        if self._reach is None:
            blocked: dict[int, list[int]] = {}
            for row, column in sorted({*self._formulas, *self._typed}):
                blocked.setdefault(row, []).append(column)
            last = max(len(self._values.rows), len(self._grids[1].rows)) + 1
            self._reach = ArrayReach(self.anchors, blocked, range(1, last + 1))
            for place in self._filled:
                # The last one: it begins nearest to the cell.
                for anchor in [*self._reach.over(*place)][-1:]:
                    self._filling.add(anchor)
        return self._reach

    def _shows_a_value(self, anchor: Anchor) -> bool:
        # An array that is withheld already, or not loaded, covers nothing now.
        return cell_text(cell_at(self._values.row(anchor.row), anchor.column))[:5] != "#REF!"


@dataclass(frozen=True)
class WritablePlan:
    """A plan without the cells that are computed, and the warnings about them."""

    plan: WritePlan
    warnings: tuple[str, ...] = ()


def rows_match(values: Grid, formulas: Grid, layout: Layout) -> bool:
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


def exclude_computed(plan: WritePlan, computed: ComputedCells) -> WritablePlan:
    """The plan without computed cells; a row whose `Status` is computed becomes a conflict.

    Raises:
        ConfigurationError: an array fills the `Status` column, so that a write would empty it.
    """
    status = plan.layout["Status"]
    conflicts: list[Conflict] = []
    left_out: dict[str, list[int]] = {}
    lookup_names: dict[str, set[str]] = {}
    kept: list[RowWrite] = []
    for write in plan.writes:
        number = write.row_number
        filled = computed.is_filled(number, status)
        if filled or computed.formula(number, status):
            anchor = computed.anchor_over(number, status) if filled else None
            if filled and _fills_from_the_top(plan, computed, anchor):
                raise array_output_error(plan.grid.title, anchor, "Status")
            conflicts.append(
                Conflict(write.source_key, _status_is_computed(number, status, anchor), waits=True)
            )
            continue
        kept.append(write)
        for name in write.cells:
            column = plan.layout[name]
            if computed.formula(number, column) or computed.is_filled(number, column):
                lookup_names.setdefault(write.source_key, set()).add(name)
                left_out.setdefault(name, []).append(number)
    writes = tuple(write.without(lookup_names.get(write.source_key, ())) for write in kept)
    warnings = tuple(
        f'"{name}" is computed by a formula and left alone (row {numbers[0]}'
        + (f", also in {len(numbers) - 1:,} more rows)" if len(numbers) > 1 else ")")
        for name, numbers in left_out.items()
    )
    guarded = replace(plan, writes=writes, conflicts=(*plan.conflicts, *conflicts))
    return WritablePlan(guarded, warnings)


def array_output_error(title: str, anchor: Anchor | None, column: str) -> ConfigurationError:
    """The error where an array fills the cells that would be written."""
    by = f" in {anchor.cell} ({anchor.name})" if anchor else ""
    return ConfigurationError(
        f'GOOGLE_SHEET_URL: the column "{column}" of the tab "{title}" is the output of a '
        f"formula{by}, and writing into it would empty it; nothing was written: use a tab "
        "of plain values (copy the columns, then Edit > Paste special > Values only)."
    )


def planned_cells(plan: WritePlan) -> list[Place]:
    """The cells that the plan writes."""
    return [(write.row_number, plan.layout[name]) for write in plan.writes for name in write.cells]


def _fills_from_the_top(plan: WritePlan, computed: ComputedCells, anchor: Anchor | None) -> bool:
    """Whether the array is the tab's, or the column's, and not one of some rows."""
    top = plan.layout.header_row
    if anchor is not None:
        return anchor.row <= top + 1
    status = plan.layout["Status"]
    return computed.is_filled(top, status) or computed.is_filled(top + 1, status)


def _status_is_computed(number: int, column: int, anchor: Anchor | None) -> str:
    by = f"the formula in {anchor.cell} ({anchor.name})" if anchor else "a formula"
    return (
        f'the cell {column_name(column)}{number} ("Status") is computed by {by}; type the '
        "status instead"
    )


def find_broken_arrays(
    after: Grid, before: Grid, computed: ComputedCells, *, header_is_gone: bool
) -> list[Anchor]:
    """Formulas that show `#REF!` now and did not before: Sheets withholds their output.

    Where the header row is gone, also those that were typed after the formulas were read.
    """
    known = dict(computed.all_formulas())
    return [
        parse_array(number, column, known.get((number, column), "="))
        or Anchor(number, column, FAR, FAR, "an array")
        for number, row in enumerate(after.rows, start=1)
        for column, cell in enumerate(row)
        if type(cell) is str
        and _is_ref(cell)
        and ((number, column) in known or header_is_gone)
        and not _is_ref(cell_at(before.row(number), column))
    ]


def _is_ref(cell: Cell) -> bool:
    return cell_text(cell).startswith("#REF!")
