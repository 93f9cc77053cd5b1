"""Rows and columns that are inserted together at the moment of a write: the header survives."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_tiktok_tests.support.outcomes import is_written_back, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row

pytestmark = pytest.mark.slow

TITLE = {"do": "insert", "at": 1, "rows": [["Our posts"]]}


@pytest.mark.parametrize("title_first", [True, False])
@pytest.mark.parametrize("column", ["B", "F", "H", "J", "K", "M", "O", "P", None])
@pytest.mark.parametrize("old", [{}, {"Views": 7, "Likes": 3, "Comments": 2}])
def test_the_header_is_repaired_or_reported_when_a_row_and_a_column_are_inserted_during_the_write(
    column: str | None, title_first: bool, old: dict[str, Any]
) -> None:
    """The header was compared by column number: an inserted column left the tab without one."""
    rows = [HEADER, *(sheet_row(number, **old) for number in range(1, 4))]
    edits = [TITLE]
    if column:
        header_row = 2 if title_first else 1
        insert = {"do": "insert_column", "at": column, "header": "Mine", "header_row": header_row}
        edits = [TITLE, insert] if title_first else [insert, TITLE]
    with RunningSheets(rows) as sheets:
        sheets.fault("edit", "write", edits=edits)
        client = sheets.client()
        report = client.write_outcomes([scraped(1), scraped(2)])
        assert {*report.written} == {address(1), address(2)}
        _, header, *found = sheets.control("GET", "rows")["rows"]
        assert [text for text in header if text not in ("Mine", "")] == HEADER
        if column and "Mine" not in header:
            assert any("header of a new column" in c.text for c in report.conflicts)
        by_note = {}
        for cells in found:
            row = dict(zip(header, [*cells, *[""] * len(header)], strict=False))
            by_note[row["Notes"]] = row
        assert is_written_back(by_note["note 1"], 1)
        assert is_written_back(by_note["note 2"], 2)
        assert by_note["note 3"] | old == by_note["note 3"]
        assert by_note["note 3"]["Status"] == "Ready to Scrape"
        assert client.write_outcomes([scraped(3)]).written == (address(3),)
