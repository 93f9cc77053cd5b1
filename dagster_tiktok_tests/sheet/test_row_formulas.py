"""A formula in one row does not stop the write back of any other."""

from __future__ import annotations

import pytest

from dagster_tiktok.sandbox.sheets.book import FormulaCell
from dagster_tiktok.sheet.write.arrays import Anchor, ArrayReach, parse_array
from dagster_tiktok.sheet.write.computed_cells import ComputedCells
from dagster_tiktok_tests.support.grids import grid_of
from dagster_tiktok_tests.support.outcomes import is_written_back, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row

NUMBERS = range(1, 5)
ROWS = [HEADER, *(sheet_row(number) for number in NUMBERS)]
# Typed into one cell, with the value that Sheets shows there.
LONE = [
    ("C3", '=IMPORTXML(A3,"//title")', "#N/A"),
    ("C3", '=IMPORTXML(A3,"//title")', "A title"),
    ("C3", '=IMPORTDATA("x")', "#N/A"),
    ("B4", '=IMPORTRANGE("x","Posts!A1")', "#REF!"),
    ("B4", '=IMPORTRANGE("x","Posts!A1")', "Ann"),
    ("B2", '=SPLIT(A2,"/")', "#REF!"),
    ("D2", '=GOOGLEFINANCE("USDEUR")', 0.92),
    ("E3", "=UNIQUE(O3)", "note 2"),
    ("C2", '=INDEX(SPLIT(A2,"/"),4)', "@someone"),
    ("C2", '=IF(B2="Ann",{"x"},"y")', "x"),
    ("B1", '=ARRAYFORMULA("VA")', "VA"),
    ("O5", "=SEQUENCE(A1:A" + "9" * 5000 + ")", "#NUM!"),
    ("O5", "=SORT(A1:A" + "9" * 5000 + ")", "#REF!"),
    ("O5", "=A" + "9" * 5000, "#REF!"),
]


@pytest.mark.parametrize(("cell", "formula", "shown"), LONE)
def test_every_row_is_written_when_one_cell_is_a_formula(
    cell: str, formula: str, shown: str | float
) -> None:
    """One IMPORTXML in one row kept the whole tab from being written."""
    rows = [list(row) for row in ROWS]
    rows[int(cell[1:]) - 1]["ABCDEFGHIJKLMNO".index(cell[0])] = FormulaCell(formula, shown)
    with RunningSheets(rows) as sheets:
        client = sheets.client()
        assert not [text for text in client.check().warnings if "computed" in text]
        report = client.write_outcomes([scraped(number) for number in NUMBERS])
        assert (len(report.written), report.conflicts, report.warnings) == (4, (), ())
        rows = sheets.control("GET", "rows")["rows"]
        for number in NUMBERS:
            assert is_written_back(dict(zip(HEADER, rows[number], strict=False)), number)


@pytest.mark.parametrize("status", ["Ready to Scrape", "Scraped"])
def test_only_the_rows_that_an_array_formula_fills_are_conflicts(
    status: str,
) -> None:
    rows = [HEADER, *(sheet_row(number, Status=status) for number in range(1, 7))]
    for row in rows[4:6]:
        row[5] = ""
    rows[4][5] = FormulaCell(f'={{"{status}";"{status}"}}')
    with RunningSheets(rows) as sheets:
        check = sheets.client().check()
        assert [text[:26] for text in check.warnings] == [
            'the cell F5 ("Status") is ',
            'the cell F6 ("Status") is ',
        ]
        if status == "Scraped":
            return
        report = sheets.client().write_outcomes([scraped(number) for number in range(1, 7)])
        assert {*report.written} == {address(number) for number in (1, 2, 3, 6)}
        texts = {conflict.source_key: conflict.text for conflict in report.conflicts}
        assert texts.keys() == {address(4), address(5)}
        assert "is computed by the formula in F5 ({…})" in texts[address(5)]


def test_work_is_linear_in_the_rows_when_each_has_a_helper_formula() -> None:
    # With the old code 20,000 rows take years.
    """The search over helper formulas was cubic in the rows."""
    count = 20_000
    values = grid_of([["v", "v", "Ready"] for _ in range(count)])
    formulas = grid_of(
        [
            [f'=IFERROR(INDEX(SPLIT(C{n},"/"),5),"")', f'=A{n}&"x"', "Ready"]
            for n in range(1, count + 1)
        ]
    )
    computed = ComputedCells(values, formulas)
    assert not any(computed.is_filled(number, 2) for number in range(1, count + 1))
    anchors = [anchor for anchor in computed.anchors if anchor]
    reach = ArrayReach(anchors, {n: [0, 1] for n in range(1, count + 1)}, range(1, count + 1))
    assert reach.steps <= 2 * count


@pytest.mark.parametrize(
    ("formula", "reach"),
    [
        ("={A1:B2;A3:B3}", (3, 2)),
        ("=SORT(UNIQUE(A1:C9))", (9, 3)),
        ('=ARRAYFORMULA(IF(A2:A<>"",1,2))', (10**6, 1)),
        ("={1,2;3,4}", (2, 2)),
        ('=IF(B2="Ann",{"x"},"y")', None),
        ("=UNIQUE(O3)", None),
        ("=SUM(A1:A9)", None),
        ("={", None),
        ("=ARRAYFORMULA(", None),
    ],
)
def test_a_formula_reaches_as_far_as_its_ranges(
    formula: str, reach: tuple[int, int] | None
) -> None:
    """A range of 5,000 digits ended the write back of the sheet."""
    anchor = parse_array(1, 0, formula)
    assert (anchor and (anchor.end_row, anchor.end_column + 1)) == reach


def test_an_array_reaches_nothing_beyond_a_cell_that_blocks_it() -> None:
    anchor = Anchor(2, 1, 10**6, 10**6, "IMPORTRANGE", is_sized=False)
    reach = ArrayReach([anchor], {4: [3], 6: [1]}, range(1, 9))
    reached = {(row, col) for row in range(1, 9) for col in range(5) if [*reach.over(row, col)]}
    assert {place for place in reached if place[1] < 5} == {
        *((2, col) for col in range(2, 5)),
        *((3, col) for col in range(1, 5)),
        *((row, col) for row in (4, 5) for col in range(1, 3)),
    }
