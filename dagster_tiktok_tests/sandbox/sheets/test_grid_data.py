"""`spreadsheets.get` returns links under texts, and merged cells, as Google's does."""

from __future__ import annotations

from typing import Any

from dagster_tiktok_tests.support.sheet_calls import call
from dagster_tiktok_tests.support.sheets import RunningSheets

FIELDS = (
    "sheets(properties.sheetId,data(startRow,startColumn,"
    "rowData.values(hyperlink,chipRuns,formattedValue)))"
)


def _edited(sheets: RunningSheets) -> int:
    sheets.edit(
        {"do": "set", "cell": "A2", "value": '=HYPERLINK("https://x.example/1", "Watch")'},
        {"do": "link", "cell": "A3", "text": "Watch", "link": "https://x.example/2"},
        {"do": "link", "cell": "A4", "text": "Chip", "link": "https://x.example/3", "chip": True},
        {"do": "set", "cell": "A5", "value": "https://x.example/4"},
        {"do": "set", "cell": "C7", "value": "text"},
    )
    return sheets.server.book.tabs[0].gid


def _get(sheets: RunningSheets, ranges: list[str], fields: str = FIELDS) -> Any:
    return call(sheets, "GET", "", params={"ranges": ranges, "fields": fields}).json()


def test_grid_data_returns_only_the_requested_cells_with_their_links(
    sheets: RunningSheets,
) -> None:
    gid = _edited(sheets)

    assert _get(sheets, ["Posts!A2:A5", "'Posts'!C6:C7"]) == {
        "sheets": [
            {
                "properties": {"sheetId": gid},
                "data": [
                    {
                        "startRow": 1,
                        "rowData": [
                            {"values": [{"hyperlink": "https://x.example/1",
                                         "formattedValue": "Watch"}]},
                            {"values": [{"hyperlink": "https://x.example/2",
                                         "formattedValue": "Watch"}]},
                            {"values": [{"chipRuns": [{"chip": {"richLinkProperties":
                                         {"uri": "https://x.example/3"}}}],
                                         "formattedValue": "Chip"}]},
                            {"values": [{"hyperlink": "https://x.example/4",
                                         "formattedValue": "https://x.example/4"}]},
                        ],
                    },
                    {"startRow": 5, "startColumn": 2,
                     "rowData": [{}, {"values": [{"formattedValue": "text"}]}]},
                ],
            }
        ]
    }  # fmt: skip


def test_values_of_links_are_their_texts(
    sheets: RunningSheets,
) -> None:
    _edited(sheets)
    params = {"valueRenderOption": "UNFORMATTED_VALUE"}

    response = call(sheets, "GET", "/values/Posts!A2:A4", params=params).json()

    assert response["values"] == [["Watch"], ["Watch"], ["Chip"]]


def test_merged_cells_are_listed_and_hold_one_value(
    sheets: RunningSheets,
) -> None:
    gid = sheets.server.book.tabs[0].gid
    sheets.edit({"do": "merge", "range": "D2:D4"})

    response = _get(sheets, [], "sheets(properties.sheetId,merges)")

    merge = {"sheetId": gid, "startRowIndex": 1, "endRowIndex": 4, "startColumnIndex": 3,
             "endColumnIndex": 4}  # fmt: skip
    assert response == {"sheets": [{"properties": {"sheetId": gid}, "merges": [merge]}]}
    values = call(sheets, "GET", "/values/Posts!D2:D4").json()["values"]
    assert values == [["Ready to Scrape"]]


def test_grid_data_of_an_unknown_tab_is_rejected(
    sheets: RunningSheets,
) -> None:
    response = call(sheets, "GET", "", params={"ranges": ["Other!A1:A2"], "fields": FIELDS})

    assert response.status_code == 400
    assert response.json()["error"]["message"] == "Unable to parse range: Other!A1:A2"
