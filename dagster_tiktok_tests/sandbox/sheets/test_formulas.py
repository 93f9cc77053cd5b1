"""Arrays spill and break, and protected cells reject, as in Google's Sheets."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_tiktok.sandbox.sheets.book import Book, FormulaCell
from dagster_tiktok.sandbox.sheets.formulas import shown
from dagster_tiktok_tests.support.sheet_calls import call
from dagster_tiktok_tests.support.sheets import RunningSheets

SOURCE = [["URL", "Status"], ["u1", "Ready"], ["u2", "x"]]

FORMULAS: list[tuple[str, Any]] = [
    ('="x"', [["x"]]),
    ("={1,2;3,4}", [[1, 2], [3, 4]]),
    ('=IMPORTRANGE("https://docs.google.com/x","Source!A1:B3")', SOURCE),
    ('=QUERY(Source!A:B,"select A")', SOURCE),
    ('=FILTER(Source!A2:B,Source!B2:B<>"")', SOURCE[1:]),
    ("={Source!A1:A3,Source!B1:B3}", SOURCE),
    ('={"Status";ARRAYFORMULA(IF(Source!A2:A<>"","on","off"))}', [["Status"], ["on"], ["on"]]),
    ('=HYPERLINK("https://x","label")', [["label"]]),
    ("=Source!A2", [["u1"]]),
    ("=SOMETHING(1)", [["#NAME?"]]),
]


@pytest.mark.parametrize(("formula", "values"), FORMULAS)
def test_a_formula_fills_its_cells(formula: str, values: Any) -> None:
    book = Book("id", "title", [])
    tab = book.add_tab("Posts", [[FormulaCell(formula)]])
    book.add_tab("Source", SOURCE)
    assert shown(book, tab).rows == values


def test_a_value_in_the_way_withholds_the_output_until_it_is_cleared() -> None:
    book = Book("id", "title", [])
    tab = book.add_tab("Posts", [[FormulaCell("={1,2;3,4}")]])
    tab.set(1, 1, "mine")
    assert shown(book, tab).rows == [["#REF!"], ["", "mine"]]
    tab.set(1, 1, "")
    assert shown(book, tab).rows == [[1, 2], [3, 4]]


@pytest.mark.parametrize("as_values", [True, False])
def test_cells_of_an_array_read_as_formulas_are_values_or_empty(
    sheets: RunningSheets, as_values: bool
) -> None:
    sheets.server.book.spilled_as_values = as_values
    sheets.edit({"do": "set", "cell": "F1", "value": "={1,2}"})
    params = {"valueRenderOption": "FORMULA"}
    row = call(sheets, "GET", "/values/F1:G1", params=params).json()["values"][0]
    assert row == (["={1,2}", 2] if as_values else ["={1,2}"])


def test_a_write_to_a_protected_range_is_rejected_as_a_whole(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "protect", "range": "D2:D2"})
    data = [{"range": "A2", "values": [["new"]]}, {"range": "D2", "values": [["x"]]}]
    body = {"valueInputOption": "RAW", "data": data}
    response = call(sheets, "POST", "/values:batchUpdate", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("You are trying to edit a protected cell")
    assert sheets.server.book.tabs[0].rows[1][0] == "a"
    sheets.edit({"do": "unprotect"})
    assert call(sheets, "POST", "/values:batchUpdate", json=body).status_code == 200
