"""Computed cells are never written, and protected cells do not stop the write back of others."""

from __future__ import annotations

import re

import pytest

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sandbox.sheets.book import FormulaCell
from dagster_tiktok.sheet.write.restore import shift_formula
from dagster_tiktok_tests.support.outcomes import failed, is_written_back, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row

ROWS = [HEADER, *(sheet_row(number) for number in range(1, 4))]
WHOLE_TABS = [
    '=IMPORTRANGE("https://docs.google.com/spreadsheets/d/x","Source!A1:O9")',
    "={Source!A1:O9}",
    "={Source!A1:F9,Source!G1:O9}",
    '=QUERY(Source!A1:O9,"select *")',
    '=FILTER(Source!A1:O9,Source!A1:A9<>"")',
    "=ARRAYFORMULA(Source!A1:O9)",
    "=SORT(UNIQUE(Source!A1:O))",
]
STATUS_COLUMNS = [
    ("F1", '={"Status";ARRAYFORMULA(IF(A2:A<>"","Ready to Scrape",""))}'),
    ("F2", '=ARRAYFORMULA(IF(A2:A<>"","Ready to Scrape",""))'),
    ("F1", "={Source!F1:F9}"),
]


@pytest.mark.parametrize("as_values", [True, False])
@pytest.mark.parametrize("formula", WHOLE_TABS)
def test_nothing_is_written_to_a_tab_that_a_formula_fills(formula: str, as_values: bool) -> None:
    """One write into the output of an array formula empties the whole tab."""
    with RunningSheets([[FormulaCell(formula)]]) as sheets:
        sheets.server.book.add_tab("Source", ROWS)
        sheets.server.book.spilled_as_values = as_values
        client = sheets.client()
        assert len(client.read().rows) == 4
        with pytest.raises(ConfigurationError, match=r'"Status" .* is the output of a formula'):
            client.write_outcomes([scraped(2)])
        with pytest.raises(ConfigurationError, match=r"in A1 .*Paste special"):
            client.check()
        assert sheets.counts()["write"] == 0
        assert len(client.read().rows) == 4


@pytest.mark.parametrize("as_values", [True, False])
@pytest.mark.parametrize(("cell", "formula"), STATUS_COLUMNS)
def test_nothing_is_written_when_a_formula_fills_the_status_column(
    cell: str, formula: str, as_values: bool
) -> None:
    rows = [[*row[:5], "" if cell == "F1" or i else row[5], *row[6:]] for i, row in enumerate(ROWS)]
    with RunningSheets(rows) as sheets:
        sheets.server.book.add_tab("Source", ROWS)
        sheets.server.book.spilled_as_values = as_values
        sheets.edit({"do": "set", "cell": cell, "value": formula})
        client = sheets.client()
        with pytest.raises(ConfigurationError, match=f"in {cell} "):
            client.write_outcomes([scraped(1), scraped(2)])
        assert sheets.counts()["write"] == 0
        assert client.read().rows[2][5] == "Ready to Scrape"


@pytest.mark.parametrize("as_values", [True, False])
@pytest.mark.parametrize(
    ("cell", "formula"),
    [("A1", '={"Post URL";Source!A2:A9}'), ("O1", '={"Notes";"x";"y"}'), ("A2", "={Source!A2:A9}")],
)
def test_rows_are_written_when_formulas_fill_other_columns(
    cell: str, formula: str, as_values: bool
) -> None:
    column = "ABCDEFGHIJKLMNO".index(cell[0])
    rows = [[*row[:column], "", *row[column + 1 :]] for row in ROWS]
    rows[0][column] = "" if cell[1] == "1" else HEADER[column]
    if column:
        rows = [[*row[:column]] for row in rows]
    with RunningSheets(rows) as sheets:
        sheets.server.book.add_tab("Source", ROWS)
        sheets.server.book.spilled_as_values = as_values
        sheets.edit({"do": "set", "cell": cell, "value": formula})
        client = sheets.client()
        assert client.write_outcomes([scraped(2)]).conflicts == ()
        after = client.read().rows
        assert (after[2][5], after[2][9], after[3][5]) == ("Scraped", 102, "Ready to Scrape")


def test_a_metric_and_a_status_that_are_formulas_are_kept() -> None:
    with RunningSheets(ROWS) as sheets:
        sheets.edit({"do": "set", "cell": "J2", "value": "=K2*2"})
        sheets.edit({"do": "set", "cell": "F3", "value": '="Ready to Scrape"'})
        report = sheets.client().write_outcomes([scraped(1), scraped(2), scraped(3)])
        rows = sheets.by_note()
    assert report.warnings == ('"Views" is computed by a formula and left alone (row 2)',)
    assert [(c.source_key, c.text, c.waits) for c in report.conflicts] == [
        (
            address(2),
            'the cell F3 ("Status") is computed by a formula; type the status instead',
            True,
        )
    ]
    assert (rows["note 1"]["Status"], rows["note 1"]["Views"]) == ("Scraped", {"formula": "=K2*2"})
    assert rows["note 2"]["Status"] == {"formula": '="Ready to Scrape"'}
    assert (rows["note 2"]["Views"], rows["note 2"]["Likes"]) == ("", "")
    assert is_written_back(rows["note 3"], 3)


def test_a_write_that_breaks_an_unseen_array_is_undone() -> None:
    with RunningSheets(ROWS) as sheets:
        sheets.server.book.add_tab("Source", ROWS)
        array = {"do": "set", "cell": "A1", "value": WHOLE_TABS[0]}
        edits = [{"do": "delete", "rows": [1, 2, 3, 4]}, {"do": "append", "rows": [[]]}, array]
        sheets.fault("edit", "write", edits=edits)
        client = sheets.client()
        with pytest.raises(ConfigurationError, match="is the output of a formula in A1"):
            client.write_outcomes([scraped(1), failed(2)])
        assert [row[:6] for row in client.read().rows] == [row[:6] for row in ROWS]


def test_a_header_that_moves_under_the_write_is_restored() -> None:
    with RunningSheets(ROWS) as sheets:
        insert = {"do": "insert", "at": 1, "rows": [["Our posts"]]}
        sheets.fault("edit", "write", edits=[insert])
        client = sheets.client()
        assert client.write_outcomes([scraped(1)]).written == (address(1),)
        rows = client.read().rows
    assert (rows[0][0], rows[1]) == ("Our posts", HEADER)
    assert (rows[2][5], rows[2][9], rows[3][5]) == ("Scraped", 101, "Ready to Scrape")


@pytest.mark.parametrize(
    ("protected", "conflicts", "answered"),
    [
        (["F3:F3"], {2: "F3"}, {1, 3}),
        (["A3:O3"], {2: "F3"}, {1, 3}),
        (["F2:F2", "F4:F4"], {1: "F2", 3: "F4"}, {2}),
        (["J3:J3"], {}, {1, 2, 3}),
        (["F:F"], {1: "F2", 2: "F3", 3: "F4"}, set()),
        (["A1:O1"], {}, {1, 2, 3}),
    ],
)
def test_only_protected_cells_are_skipped_and_they_are_named(
    protected: list[str], conflicts: dict[int, str], answered: set[int]
) -> None:
    """Google rejects a request with one protected cell as a whole, so that one such cell kept every
    row from its outcome, run after run.
    """
    with RunningSheets(ROWS) as sheets:
        sheets.edit(*({"do": "protect", "range": text} for text in protected))
        report = sheets.client().write_outcomes([scraped(1), failed(2), scraped(3)])
        rows = sheets.by_note()
    told = {conflict.source_key: conflict.text for conflict in report.conflicts}
    assert told.keys() == {address(number) for number in conflicts}
    assert all(conflict.waits for conflict in report.conflicts)
    for number, cell in conflicts.items():
        assert f"the cell {cell} (" in told[address(number)]
        assert "is protected; allow" in told[address(number)]
    for number in (1, 2, 3):
        written = rows[f"note {number}"]["Status"] in ("Scraped", "Failed")
        assert written == (number in answered)
    assert {*report.written} == {address(number) for number in answered}


def test_the_rest_of_a_row_is_written_when_a_metric_is_protected() -> None:
    with RunningSheets(ROWS) as sheets:
        sheets.edit({"do": "protect", "range": "J3:J3"})
        report = sheets.client().write_outcomes([scraped(1), scraped(2), scraped(3)])
        rows = sheets.by_note()
    assert [(c.written, c.waits, c.text[:24]) for c in report.conflicts] == [
        (True, False, 'the cell J3 ("Views") is')
    ]
    assert (rows["note 2"]["Status"], rows["note 2"]["Views"]) == ("Scraped", "")
    assert rows["note 2"]["Likes"] == 2
    assert is_written_back(rows["note 1"], 1)
    assert {*report.written} == {address(number) for number in (1, 2, 3)}


def test_the_number_of_requests_is_bounded_when_the_whole_tab_is_protected() -> None:
    with RunningSheets([HEADER, *(sheet_row(number) for number in range(1, 200))]) as sheets:
        sheets.edit({"do": "protect", "range": "A1:O500"})
        with pytest.raises(ConfigurationError, match="are protected; allow"):
            sheets.client().write_outcomes([scraped(number) for number in range(1, 200)])
        assert sheets.counts()["write"] <= 41


def test_doctor_reports_a_protected_row_and_not_a_protected_header() -> None:
    with RunningSheets(ROWS) as sheets:
        sheets.edit({"do": "protect", "range": "A1:O1"})
        assert sheets.client().check().ready_rows == 3
        sheets.edit({"do": "protect", "range": "F2:F2"})
        check = sheets.client().check()
        assert (check.can_write, check.ready_rows, len(check.protected)) == (True, 3, 1)
        told = r'the cell F2 \(row 2, column "Status"\) is protected; allow \S+@\S+ to edit it'
        assert re.match(told, check.protected[0])
        sheets.edit({"do": "protect", "range": "F:F"})
        check = sheets.client().check()
        assert not check.can_write
        assert [text[:11] for text in check.protected] == [f"the cell F{n}" for n in (2, 3, 4)]


def test_a_tab_that_is_renamed_before_the_write_is_written() -> None:
    with RunningSheets(ROWS) as sheets:
        sheets.fault("edit", "write", edits=[{"do": "rename", "title": "November"}])
        assert sheets.client().write_outcomes([scraped(2)]).written == (address(2),)
        assert is_written_back(sheets.by_note()["note 2"], 2)


@pytest.mark.parametrize(
    ("formula", "moved"),
    [
        ("=E5*2", "=E9*2"),
        ('=IF(A5<>"","A5",$Z$1)', '=IF(A9<>"","A5",$Z$1)'),
        ("=SUM(E:E)", "=SUM(E:E)"),
        ("=E4*2", None),
        ("=Other!A5", None),
    ],
)
def test_a_formula_follows_its_moved_row_or_is_not_guessed(formula: str, moved: str | None) -> None:
    assert shift_formula(formula, 5, 9, 1) == moved
