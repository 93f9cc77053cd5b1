"""The sheet's client against the sandbox's Google Sheets, over real sockets."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.sheet.api.quota import QuotaLimiter
from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok_tests.support.manual_clock import ManualClock
from dagster_tiktok_tests.support.outcomes import failed, is_written_back, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address


def test_one_request_reads_all_cells_as_they_are(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "set", "cell": "G2", "value": "2026-11-22"})
    sheets.edit({"do": "append", "rows": [["'007", "1,234"]]})
    grid = sheets.client().read()
    assert (grid.title, len(grid.rows), grid.rows[1][6]) == ("Posts", 8, 46348)
    assert grid.rows[7] == ["007", 1234]
    assert sheets.counts() == {"read": 1, "write": 0, "metadata": 0, "token": 1}


def test_the_gid_selects_the_tab_or_else_the_first_visible_one(
    sheets: RunningSheets,
) -> None:
    other = sheets.server.book.add_tab("Bob's: 'tab'!", [["x"]])
    with_gid = sheets.client(google_sheet_url=sheets.server.sheet_url_of(other)).read()
    assert (with_gid.title, with_gid.rows) == ("Bob's: 'tab'!", [["x"]])
    without = sheets.client(google_sheet_url=sheets.server.sheet_url.partition("#")[0])
    assert without.read().title == "Posts"
    sheets.server.book.tabs[0].hidden = True
    assert without.read().title == "Bob's: 'tab'!"


def test_an_empty_tab_has_no_rows(sheets: RunningSheets) -> None:
    empty = sheets.server.book.add_tab("Empty", [])
    url = sheets.server.sheet_url_of(empty)
    assert sheets.client(google_sheet_url=url).read().rows == []


def test_no_request_is_sent_when_there_are_no_outcomes(sheets: RunningSheets) -> None:
    report = sheets.client().write_outcomes([])
    assert (report.written, report.cells) == ((), 0)
    assert sum(sheets.counts().values()) == 0


def test_outcomes_take_one_write_and_three_reads(
    sheets: RunningSheets,
) -> None:
    before = sheets.by_note()
    report = sheets.client().write_outcomes([scraped(2), failed(4), scraped(9)])
    assert (report.written, report.corrected) == ((address(2), address(4)), 0)
    assert [(c.source_key, c.text) for c in report.conflicts] == [
        (address(9), "the row is gone from the sheet")
    ]
    assert sheets.counts() == {"read": 3, "write": 1, "metadata": 0, "token": 1}
    after = sheets.by_note()
    assert is_written_back(after.pop("note 2"), 2)
    row = after.pop("note 4")
    assert (row["Status"], row["Error"], row["Views"]) == ("Failed", "Post is deleted", "")
    assert after == {note: before[note] for note in after}


def test_writing_outcomes_again_takes_one_read(
    sheets: RunningSheets,
) -> None:
    client = sheets.client()
    client.write_outcomes([scraped(2)])
    report = client.write_outcomes([scraped(2)])
    assert (report.written, report.already, report.cells) == ((), (address(2),), 0)
    assert (sheets.counts()["read"], sheets.counts()["write"]) == (5, 1)


@pytest.mark.parametrize(
    ("kind", "operation", "options"),
    [
        ("rate_limited", "read", {"retry_after": 0, "count": 3}),
        ("rate_limited", "write", {"retry_after": 0, "count": 3}),
        ("rate_limited", "write", {}),
        ("unavailable", "read", {"count": 2}),
        ("unavailable_after", "write", {"count": 2}),
        ("error_500_after", "write", {}),
        ("dropped", "read", {"count": 2}),
        ("dropped", "write", {}),
        ("dropped_after", "write", {}),
        ("truncated", "read", {"skip": 1}),
        ("html", "read", {"count": 2}),
        ("html_after", "write", {}),
        ("html", "token", {}),
        ("dropped", "token", {}),
    ],
)
def test_the_sheet_is_right_after_a_transient_fault_during_the_write(
    sheets: RunningSheets, kind: str, operation: str, options: dict[str, Any]
) -> None:
    before = sheets.by_note()
    sheets.fault(kind, operation, **options)
    report = sheets.client().write_outcomes([scraped(2), scraped(5)])
    assert (set(report.written), report.conflicts) == ({address(2), address(5)}, ())
    after = sheets.by_note()
    assert is_written_back(after.pop("note 2"), 2)
    assert is_written_back(after.pop("note 5"), 5)
    assert after == {note: before[note] for note in after}


def test_a_row_that_a_va_resets_after_a_lost_response_is_not_overwritten(
    sheets: RunningSheets,
) -> None:
    sheets.fault("unavailable_after", "write")
    reset = {"do": "set", "cell": "F3", "value": "Ready to Scrape"}
    sheets.fault("edit", "read", skip=2, edits=[reset])
    report = sheets.client().write_outcomes([scraped(2)])
    assert report.written == (address(2),)
    assert sheets.by_note()["note 2"]["Status"] == "Ready to Scrape"
    assert sheets.counts()["write"] == 1


def test_a_new_token_is_fetched_when_it_expires_between_two_calls(
    sheets: RunningSheets,
) -> None:
    client = sheets.client()
    client.read()
    sheets.control("POST", "tokens/expire")
    assert client.write_outcomes([scraped(1)]).written == (address(1),)
    assert sheets.counts()["token"] == 2


def test_reading_waits_for_the_next_window_when_others_use_up_the_quota() -> None:
    with RunningSheets([HEADER], reads_per_minute=2, quota_window_seconds=0.9) as sheets:
        client = sheets.client()
        started = time.monotonic()
        for _ in range(3):
            client.read()
        assert time.monotonic() - started >= 0.9


def test_fast_calls_are_spread_over_the_window_of_the_limit() -> None:
    clock = ManualClock()
    limiter, started = QuotaLimiter(3, 60, clock), clock.now()
    waited = [limiter.wait() for _ in range(7)]
    assert waited == [0, 0, 0, 60, 0, 0, 60]
    clock.advance(59)
    assert [limiter.wait() for _ in range(3)] == [0, 0, 1]
    assert clock.now() - started == 60 + 60 + 59 + 1


def test_no_window_holds_more_calls_than_the_limit_when_threads_call_at_once() -> None:
    class Still(ManualClock):
        def block(self, seconds: float) -> None:
            """Nobody's wait moves the time, so that each wait says when its call may pass."""

    limiter = QuotaLimiter(10, 60, Still())
    with ThreadPoolExecutor(8) as threads:
        waited = list(threads.map(lambda _: limiter.wait(), range(400)))
    assert sorted(waited) == [60 * (number // 10) for number in range(400)]


def test_a_permanent_fault_means_the_service_is_unavailable(
    sheets: RunningSheets,
) -> None:
    sheets.fault("unavailable", "read", count=99)
    with pytest.raises(ServiceUnavailableError, match="503, also after all retries"):
        sheets.client(attempts=2).read()
    assert sheets.counts()["read"] == 2


def test_text_that_looks_like_a_formula_is_written_as_text(
    sheets: RunningSheets,
) -> None:
    outcome = failed(1).model_copy(update={"reason": '=IMPORTXML("http://x")'})
    sheets.client().write_outcomes([outcome])
    assert sheets.by_note()["note 1"]["Error"] == '\'=IMPORTXML("http://x")'


def test_checking_a_usable_sheet_reports_what_it_found_and_changes_nothing(
    sheets: RunningSheets,
) -> None:
    before = sheets.rows()
    check = sheets.client().check()
    assert (check.tab, check.header_row, check.ready_rows, check.filled_rows) == ("Posts", 1, 6, 6)
    assert check.missing_columns == ()
    assert check.client_email == sheets.server.account.email
    assert sheets.rows() == before


def test_checking_a_read_only_sheet_says_to_share_it_as_editor(
    sheets: RunningSheets,
) -> None:
    sheets.control("POST", "access", {"role": "reader"})
    with pytest.raises(ConfigurationError, match=r"may read .* as editor"):
        sheets.client().check()


def test_a_client_can_be_closed_twice(
    sheets: RunningSheets,
) -> None:
    settings = sheets.settings()
    with SheetClient(settings, settings.sheets[0]) as client:
        client.read()
    client.close()
