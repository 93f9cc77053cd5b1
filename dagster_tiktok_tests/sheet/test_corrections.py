"""Rows and columns that move during the write, tested without a server."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timezone
from typing import Any, SupportsIndex, overload

import pytest

from dagster_tiktok.sandbox.sheets.book import Book, Tab
from dagster_tiktok.sandbox.sheets.edits import apply_edits
from dagster_tiktok.sheet.grid import Grid
from dagster_tiktok.sheet.write.corrections import plan_corrections
from dagster_tiktok.sheet.write.plan import WritePlan, plan_writeback
from dagster_tiktok_tests.support.grids import grid_of
from dagster_tiktok_tests.support.outcomes import failed, scraped
from dagster_tiktok_tests.support.sheets import HEADER, address, sheet_row

pytestmark = pytest.mark.slow


class Sheet:
    def __init__(self, rows: list[list[Any]]) -> None:
        self.book = Book("id", "title", [Tab(0, "Posts", [list(HEADER), *rows])])

    @property
    def grid(self) -> Grid:
        return grid_of(self.book.tabs[0].rows)

    def write(self, plan: WritePlan) -> None:
        for cell in plan.cells():
            assert cell.value is not None
            self.book.tabs[0].set(cell.row_number - 1, cell.column, cell.value)

    def by_note(self) -> dict[Any, list[dict[Any, Any]]]:
        header, *rows = self.book.tabs[0].rows
        found: dict[Any, list[dict[Any, Any]]] = {}
        for row in rows:
            cells = {name: row[i] for i, name in enumerate(header) if i < len(row) and row[i] != ""}
            found.setdefault(cells.get("Notes"), []).append(cells)
        return found


class CountedRows(list[Sequence[Any]]):
    """Rows that count how often one of them is looked at."""

    looks = 0

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Sequence[Any]: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Sequence[Any]]: ...
    def __getitem__(self, index: Any, /) -> Any:
        self.looks += isinstance(index, int)
        return super().__getitem__(index)


def a_round(seed: int) -> Iterator[tuple[str, Any, Any]]:
    """What differs from what should be, after one write that people came between."""
    dice = random.Random(seed)
    sheet = Sheet([sheet_row(number) for number in range(1, 9)])
    for answered in dice.sample(sheet.book.tabs[0].rows[1:], 3):
        answered[5], answered[9] = "Scraped", 5 if dice.random() < 0.5 else ""
    outcomes = [dice.choice([scraped, failed])(number) for number in dice.sample(range(1, 9), 4)]
    first = plan_writeback(sheet.grid, outcomes, timezone.utc)
    apply_edits(sheet.book, [_edit(dice, index) for index in range(dice.randint(1, 3))])
    expected = sheet.by_note()
    sheet.write(first)
    correction = plan_corrections(sheet.grid, first, [first])
    sheet.write(correction)
    wanted = {write.source_key: write.cells for write in first.writes}
    after = sheet.by_note()
    for note, rows in expected.items():
        for row, found in zip(rows, after[note], strict=True):
            if row.get("Status") == "Ready to Scrape" and row["Post URL"] in wanted:
                row.update(wanted[row["Post URL"]])
            filled = {name: value for name, value in row.items() if value != ""}
            if filled != found and not any(conflict.written for conflict in correction.conflicts):
                yield (str(note), filled, found)
    assert plan_corrections(sheet.grid, first, [first, correction]).cells() == []


def _edit(dice: random.Random, index: int) -> dict[str, Any]:
    row = dice.randint(2, 6)
    blank = [*[""] * 14, f"new {index}"]
    edits: list[dict[str, Any]] = [
        {"do": "insert", "at": row, "rows": [blank]},
        {"do": "delete", "rows": [row]},
        {"do": "sort", "column": dice.choice("ADFO"), "descending": dice.random() < 0.5},
        {"do": "insert_column", "at": dice.choice("ACGM"), "header": f"Column {index}"},
    ]
    return dice.choice(edits)


@pytest.mark.parametrize("first_seed", range(0, 400, 100))
def test_every_cell_is_right_after_the_correction_when_rows_and_columns_move_during_a_write(
    first_seed: int,
) -> None:
    wrong = {seed: list(a_round(seed)) for seed in range(first_seed, first_seed + 100)}
    assert {seed: found for seed, found in wrong.items() if found} == {}


def test_an_overwritten_new_row_is_reported_for_a_check_by_hand() -> None:
    sheet = Sheet([sheet_row(1), sheet_row(2)])
    first = plan_writeback(sheet.grid, [scraped(1)], timezone.utc)
    apply_edits(sheet.book, [{"do": "insert", "at": 2, "rows": [sheet_row(9)]}])
    sheet.write(first)
    correction = plan_corrections(sheet.grid, first, [first])
    assert [write.row_number for write in correction.writes] == [3]
    assert {conflict.text for conflict in correction.conflicts} == {
        "rows or columns moved while the row was written; please check row 2"
    }


def test_correction_of_thousands_of_rows_with_one_url_takes_few_lookups() -> None:
    count = 5_000
    notes = [*["Ready to Scrape"] * count, *["On hold"] * count]
    sheet = Sheet([sheet_row(1, Status=status, Notes=i) for i, status in enumerate(notes)])
    first = plan_writeback(sheet.grid, [scraped(1, copies=count)], timezone.utc)
    sheet.write(first)
    rows = CountedRows(sheet.grid.rows)
    correction = plan_corrections(Grid("Posts", rows), first, [first])
    assert (len(first.writes), correction.cells(), correction.conflicts) == (count, [], ())
    assert rows.looks < 20 * len(rows)


def test_thousands_of_rows_with_one_url_are_planned_again_when_the_write_is_lost() -> None:
    count = 5_000
    statuses = [*["Ready to Scrape"] * count, *["On hold"] * count]
    sheet = Sheet([sheet_row(1, Status=status) for status in statuses])
    first = plan_writeback(sheet.grid, [scraped(1, copies=count)], timezone.utc)
    rows = CountedRows(sheet.grid.rows)
    again = plan_corrections(Grid("Posts", rows), first, [])
    assert [write.row_number for write in again.writes] == list(range(2, count + 2))
    assert rows.looks < 20 * len(rows)


def test_a_status_that_a_va_changes_after_the_write_is_kept() -> None:
    sheet = Sheet([sheet_row(1), sheet_row(2)])
    first = plan_writeback(sheet.grid, [scraped(1), scraped(2)], timezone.utc)
    sheet.write(first)
    for cell, status in (("F2", "On hold"), ("F3", "Ready to Scrape")):
        apply_edits(sheet.book, [{"do": "set", "cell": cell, "value": status}])
    correction = plan_corrections(sheet.grid, first, [first])
    assert correction.cells() == []
    assert [(conflict.source_key, conflict.text) for conflict in correction.conflicts] == [
        (address(1), 'the status was changed to "On hold" (row 2)')
    ]


def test_only_ready_rows_are_written_when_nothing_was_sent_yet() -> None:
    sheet = Sheet([sheet_row(1), sheet_row(2), sheet_row(3)])
    first = plan_writeback(sheet.grid, [scraped(n) for n in (1, 2, 3)], timezone.utc)
    apply_edits(sheet.book, [{"do": "set", "cell": "F2", "value": "Scraped"}])
    apply_edits(sheet.book, [{"do": "delete", "rows": [3]}])
    again = plan_corrections(sheet.grid, first, [])
    assert [write.source_key for write in again.writes] == [address(3)]
    assert [conflict.source_key for conflict in again.conflicts] == [address(2)]
