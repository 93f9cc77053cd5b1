"""The sandbox's Google Sheets, seen by gspread and by plain HTTP as Google's would be."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import gspread
import pytest
import requests

from dagster_tiktok.sandbox.sheets.server import SheetsServer
from dagster_tiktok.sheet.api.http import SheetsHTTPClient
from dagster_tiktok.sheet.api.service_account import ServiceAccountSession
from dagster_tiktok_tests.support.sheet_calls import ROWS, call, token
from dagster_tiktok_tests.support.sheets import RunningSheets

pytestmark = pytest.mark.slow


def spreadsheet(sheets: RunningSheets) -> gspread.Spreadsheet:
    access = ServiceAccountSession(json.dumps(sheets.server.service_account_info()))
    http = SheetsHTTPClient(access, sheets.server.url, attempts=1, max_wait=0)
    client = gspread.Client(None, access.session, lambda *_: http)  # type: ignore[arg-type]
    return client.open_by_key(sheets.server.spreadsheet_id)


def test_gspread_reads_and_writes_as_on_a_real_sheet(
    sheets: RunningSheets,
) -> None:
    sheets.server.book.add_tab("VA's list", [["x"]])
    book = spreadsheet(sheets)
    tab = book.get_worksheet_by_id(sheets.server.book.tabs[0].gid)

    assert (book.title, [w.title for w in book.worksheets()]) == (
        "TikTok posts",
        ["Posts", "VA's list"],
    )
    assert tab.get_all_values() == [
        ["Post URL", "VA", "Set ID", "Status"],
        ["a", "", "007", "Ready to Scrape"],
        ["", "", "", ""],
        ["b", "x", "12", ""],
    ]
    tab.batch_update([{"range": "D2", "values": [["Scraped"]]}, {"range": "A5", "values": [["c"]]}])
    assert [tab.acell("D2").value, tab.acell("A5").value] == ["Scraped", "c"]
    book.worksheet("VA's list").update([["y", 2]], "A2:B2")
    assert book.worksheet("VA's list").get_values() == [["x", ""], ["y", "2"]]


@pytest.mark.parametrize(
    ("text", "where", "values"),
    [
        ("A1", "Posts!A1", [["Post URL"]]),
        ("Posts!A2:C2", "Posts!A2:C2", [["a", "", "007"]]),
        ("posts!C2:C", "Posts!C2:C1000", [["007"], [], [12]]),
        ("A:B", "Posts!A1:B1000", [["Post URL", "VA"], ["a"], [], ["b", "x"]]),
        ("2:2", "Posts!A2:Z2", [["a", "", "007", "Ready to Scrape"]]),
        ("A2:N", "Posts!A2:N1000", [["a", "", "007", "Ready to Scrape"], [], ["b", "x", 12]]),
        ("'Posts'", "Posts!A1:Z1000", None),
        ("Posts", "Posts!A1:Z1000", None),
        ("A:ZZZ", "Posts!A1:Z1000", None),
        ("'VA''s list'!A1:B2", "'VA''s list'!A1:B2", [["x"]]),
        ("F7:G9", "Posts!F7:G9", []),
    ],
)
def test_an_a1_range_is_resolved_and_trimmed(
    sheets: RunningSheets, text: str, where: str, values: list[Any] | None
) -> None:
    sheets.server.book.add_tab("VA's list", [["x"]])
    params = {"ranges": text, "valueRenderOption": "UNFORMATTED_VALUE"}
    response = call(sheets, "GET", "/values:batchGet", params=params).json()["valueRanges"][0]
    assert response["range"] == where
    if values is not None:
        assert response.get("values", []) == values


def test_a_data_filter_finds_a_tab_by_gid_whatever_its_title(
    sheets: RunningSheets,
) -> None:
    other = sheets.server.book.add_tab("Other", [["x", "y"]])
    body = {
        "dataFilters": [{"gridRange": {"sheetId": other.gid}}],
        "majorDimension": "COLUMNS",
    }
    sheets.edit({"do": "rename", "gid": other.gid, "title": "Renamed tab"})
    response = call(sheets, "POST", "/values:batchGetByDataFilter", json=body).json()
    assert response["valueRanges"][0]["valueRange"] == {
        "range": "'Renamed tab'!A1:Z1000",
        "majorDimension": "COLUMNS",
        "values": [["x"], ["y"]],
    }


@pytest.mark.parametrize("option", ["RAW", "USER_ENTERED"])
def test_only_user_entered_interprets_text(sheets: RunningSheets, option: str) -> None:
    values = ["=1+1", "1,234", "2026-11-22", "TRUE", "'007", "plain", 5, None]
    data = [{"range": "Posts!A6:H6", "values": [values]}]
    body = {"valueInputOption": option, "data": data}
    response = call(sheets, "POST", "/values:batchUpdate", json=body).json()
    assert (response["totalUpdatedCells"], response["responses"][0]["updatedRange"]) == (
        7,
        "Posts!A6:H6",
    )
    row = sheets.control("GET", "rows")["rows"][5]
    if option == "RAW":
        assert row == values[:-1]
    else:
        assert row == [{"formula": "=1+1"}, 1234, "2026-11-22", True, "007", "plain", 5]


@pytest.mark.parametrize(
    ("render", "dates", "expected"),
    [
        ("UNFORMATTED_VALUE", "SERIAL_NUMBER", [46348, 12.5, True]),
        ("UNFORMATTED_VALUE", "FORMATTED_STRING", ["2026-11-22", 12.5, True]),
        ("FORMATTED_VALUE", "SERIAL_NUMBER", ["2026-11-22", "12.5", "TRUE"]),
    ],
)
def test_numbers_and_dates_follow_the_render_options(
    sheets: RunningSheets, render: str, dates: str, expected: list[Any]
) -> None:
    sheets.edit({"do": "insert", "at": 1, "rows": [["2026-11-22", "12.5", "true"]]})
    params = {"valueRenderOption": render, "dateTimeRenderOption": dates}
    assert call(sheets, "GET", "/values/A1:C1", params=params).json()["values"] == [expected]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "name"),
    [
        ("GET", "x", {}, 404, "NOT_FOUND"),
        ("GET", "/values/Nope!A1", {}, 400, "INVALID_ARGUMENT"),
        ("GET", "/values/A1001", {}, 400, "INVALID_ARGUMENT"),
        ("GET", "/values/A1", {"params": {"valueRenderOption": "X"}}, 400, "INVALID_ARGUMENT"),
        ("GET", "", {"bearer": "stolen"}, 401, "UNAUTHENTICATED"),
        ("PUT", "/values/A1", {"json": {"values": [["x"]]}}, 400, "INVALID_ARGUMENT"),
        ("POST", "/values:batchUpdate", {"data": "{"}, 400, "INVALID_ARGUMENT"),
        (
            "PUT",
            "/values/A1:A2?valueInputOption=RAW",
            {"json": {"values": [["x", "y"]]}},
            400,
            "INVALID_ARGUMENT",
        ),
    ],
)
def test_a_wrong_request_gets_googles_error(
    sheets: RunningSheets, method: str, path: str, options: Any, status: int, name: str
) -> None:
    response = call(sheets, method, path, **options)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (status, status, name)
    assert sheets.server.book.tabs[0].rows == ROWS


def test_metadata_holds_only_the_requested_fields(
    sheets: RunningSheets,
) -> None:
    params = {"fields": "properties.title,sheets.properties(sheetId,title)"}
    assert call(sheets, "GET", "", params=params).json() == {
        "properties": {"title": "TikTok posts"},
        "sheets": [{"properties": {"sheetId": sheets.server.book.tabs[0].gid, "title": "Posts"}}],
    }


def test_writing_is_forbidden_with_a_read_only_scope_or_role(
    sheets: RunningSheets,
) -> None:
    body = {"valueInputOption": "RAW", "data": [{"range": "A1", "values": [["x"]]}]}
    scope = "https://www.googleapis.com/auth/spreadsheets.readonly"
    bearer = token(sheets, scope=scope).json()["access_token"]
    assert call(sheets, "GET", "", bearer=bearer).status_code == 200
    response = call(sheets, "POST", "/values:batchUpdate", bearer=bearer, json=body)
    assert response.status_code == 403
    sheets.control("POST", "access", {"role": "reader"})
    assert call(sheets, "POST", "/values:batchUpdate", json=body).status_code == 403
    sheets.control("POST", "access", {"role": "none"})
    assert call(sheets, "GET", "").json()["error"]["status"] == "PERMISSION_DENIED"


def test_a_used_up_quota_gives_429_until_the_window_is_over() -> None:
    with RunningSheets(ROWS, reads_per_minute=2, writes_per_minute=1) as sheets:
        bearer = token(sheets).json()["access_token"]
        body = {"valueInputOption": "RAW", "data": []}
        reads = [call(sheets, "GET", "/values/A1", bearer=bearer) for _ in range(3)]
        writes = [
            call(sheets, "POST", "/values:batchUpdate", bearer=bearer, json=body) for _ in range(2)
        ]
        assert [response.status_code for response in reads] == [200, 200, 429]
        assert [response.status_code for response in writes] == [200, 429]
        assert reads[-1].json()["error"]["status"] == "RESOURCE_EXHAUSTED"
        sheets.server.gate.advance(60)
        assert call(sheets, "GET", "/values/A1", bearer=bearer).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "applied"),
    [
        ("rate_limited", 429, False),
        ("error_500", 500, False),
        ("error_500_after", 500, True),
        ("unavailable", 503, False),
        ("unavailable_after", 503, True),
        ("forbidden", 403, False),
        ("html", 200, False),
        ("html_after", 200, True),
        ("slow", 200, True),
        ("dropped", None, False),
        ("dropped_after", None, True),
        ("truncated", None, True),
    ],
)
def test_a_fault_fails_a_write_before_or_after_it_is_applied(
    sheets: RunningSheets, kind: str, status: int | None, applied: bool
) -> None:
    body = {"valueInputOption": "RAW", "data": [{"range": "A2", "values": [["new"]]}]}
    bearer = token(sheets).json()["access_token"]
    sheets.fault(kind, "write", retry_after=7, delay_seconds=0.05)
    try:
        response = call(sheets, "POST", "/values:batchUpdate", bearer=bearer, json=body)
        assert response.status_code == status
        assert (response.headers["Content-Type"] == "text/html; charset=utf-8") == ("html" in kind)
        if kind == "rate_limited":
            assert response.headers["Retry-After"] == "7"
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        assert status is None
    assert (sheets.server.book.tabs[0].rows[1][0] == "new") == applied
    assert call(sheets, "GET", "/values/A1", bearer=bearer).status_code == 200


def test_edits_move_rows_as_in_a_sheet(sheets: RunningSheets) -> None:
    sheets.edit(
        {"do": "insert", "at": 2, "rows": [["new", "z", "3"]]},
        {"do": "sort", "column": "B"},
        {"do": "set", "cell": "D2", "value": "done"},
        {"do": "insert_column", "at": "A", "header": "Nr"},
        {"do": "append", "rows": [["9", "last"]]},
        {"do": "delete", "rows": [4]},
    )
    assert sheets.control("GET", "rows")["rows"] == [
        ["Nr", "Post URL", "VA", "Set ID", "Status"],
        ["", "b", "x", 12, "done", ""],
        ["", "new", "z", 3],
        [],
        [9, "last"],
    ]


def test_a_hostile_cell_is_escaped_in_the_page(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "append", "rows": [["<script>alert(1)</script>", "Scraped"]]})
    page = requests.get(sheets.server.sheet_url, timeout=60)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert '<td class="scraped"' in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_cells_and_account_are_the_same_after_a_restart_with_a_state_file(
    tmp_path: Path,
) -> None:
    options = {"state_path": tmp_path / "sheet.json", "service_account_path": tmp_path / "sa.json"}
    with RunningSheets(ROWS, **options) as first:
        first.edit({"do": "set", "cell": "A2", "value": "2026-11-22"})
        rows, key = first.control("GET", "rows"), first.server.service_account_info()["private_key"]
        assert json.loads((tmp_path / "sa.json").read_text()) == first.server.service_account_info()
    assert stat.S_IMODE((tmp_path / "sa.json").stat().st_mode) == 0o600
    with RunningSheets([["other"]], **options, seed=5) as second:
        assert second.control("GET", "rows") == rows
        assert second.server.service_account_info()["private_key"] == key


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_a_host_that_is_not_loopback_is_not_accepted(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        asyncio.run(SheetsServer(ROWS).start(host))
