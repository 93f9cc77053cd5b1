"""A tab is its gid: renamed and reordered tabs move no write elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_tiktok_tests.support.outcomes import is_written_back, scraped
from dagster_tiktok_tests.support.sheet_calls import call
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row

ROWS = [HEADER, *(sheet_row(number) for number in range(1, 4))]


def _other_rows() -> list[list[Any]]:
    rows = (sheet_row(n, Status="keep me", Views="mine") for n in range(11, 14))
    return [HEADER, *rows]


def _swapped(sheets: RunningSheets) -> list[dict[str, Any]]:
    own, other = (tab.gid for tab in sheets.server.book.tabs)
    return [
        {"do": "rename", "gid": own, "title": "October"},
        {"do": "rename", "gid": other, "title": "Posts"},
    ]


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("operation", ["read", "write"])
def test_write_back_leaves_the_other_tab_alone_when_titles_are_swapped(
    operation: str, skip: int
) -> None:
    """Ranges went by the title, so that two swapped titles sent outcomes into the other tab."""
    with RunningSheets(ROWS) as sheets:
        other = sheets.server.book.add_tab("Posts (2)", _other_rows())
        sheets.fault("edit", operation, edits=_swapped(sheets), skip=skip)
        report = sheets.client().write_outcomes([scraped(n) for n in range(1, 4)])
        assert (len(report.written), report.conflicts) == (3, ())
        assert other.rows == _other_rows()
        assert all(is_written_back(sheets.by_note()[f"note {n}"], n) for n in range(1, 4))


def test_links_are_read_from_the_configured_tab_when_titles_are_swapped() -> None:
    """Links were requested by the title, and came from the other tab."""
    with RunningSheets(ROWS) as sheets:
        sheets.server.book.add_tab("Posts (2)", _other_rows())
        own, other = (tab.gid for tab in sheets.server.book.tabs)
        for gid, number in ((own, 1), (other, 11)):
            link = {"text": "Watch", "link": address(number)}
            sheets.edit({"do": "link", "gid": gid, "cell": "A2", **link})
        sheets.fault("edit", "metadata", edits=_swapped(sheets))
        assert str(sheets.client().read().rows[1][0]) == address(1)


def test_a_url_without_gid_does_not_write_to_a_tab_that_becomes_the_first() -> None:
    with RunningSheets(ROWS) as sheets:
        book = sheets.server.book
        other = book.add_tab("Posts (2)", _other_rows())
        client = sheets.client(google_sheet_url=sheets.server.sheet_url.partition("#")[0])
        assert client.write_outcomes([scraped(1)]).written == (address(1),)
        book.tabs.reverse()
        assert client.write_outcomes([scraped(2)]).written == (address(2),)
        assert other.rows == _other_rows()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        # Seen at Google: without a dimension a range that is no square fits nothing.
        ({"majorDimension": None}, "dimension_unspecified cannot fit"),
        ({"values": [["x", "y", "z"]]}, "rows cannot fit"),
        ({"values": [["x"], ["y"]]}, "rows cannot fit"),
        ({"dataFilter": {"gridRange": {"sheetId": 99}}}, "No grid with id: 99"),
        ({"range": "A1"}, "Invalid JSON payload"),
    ],
)
def test_data_filters_that_do_not_fit_are_rejected_as_google_does(
    changes: dict[str, Any], told: str
) -> None:
    with RunningSheets(ROWS) as sheets:
        item = {
            "dataFilter": {
                "gridRange": {
                    "sheetId": sheets.server.book.tabs[0].gid,
                    "startRowIndex": 1,
                    "endRowIndex": 2,
                    "startColumnIndex": 5,
                    "endColumnIndex": 7,
                }
            },
            "majorDimension": "ROWS",
            "values": [["Scraped", None]],
        }
        good = {"valueInputOption": "RAW", "data": [item]}
        item = {key: value for key, value in (item | changes).items() if value is not None}
        bad = {"valueInputOption": "RAW", "data": [item]}
        rejected = call(sheets, "POST", "/values:batchUpdateByDataFilter", json=bad)
        assert (rejected.status_code, told in rejected.text) == (400, True)
        response = call(sheets, "POST", "/values:batchUpdateByDataFilter", json=good).json()
        assert (response["totalUpdatedCells"], response["responses"][0]["updatedRange"]) == (
            1,
            "Posts!F2:G2",
        )
        assert sheets.rows()[0]["Status"] == "Scraped"
