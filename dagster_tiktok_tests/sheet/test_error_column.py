"""`Error` holds our texts of any version, which are replaced, or VAs' remarks, which are kept."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok_tests.support.outcomes import failed, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row


class Remembering:
    """What the database does: remembers texts when they are about to be written."""

    def __init__(self, *texts: str) -> None:
        self.texts = set(texts)

    def __call__(self, found: Collection[str], writing: Collection[str]) -> Collection[str]:
        known = self.texts & {*found}
        self.texts |= {*writing}
        return known


def _sheets(*errors: str | int | bool) -> RunningSheets:
    rows = [sheet_row(number, Error=error) for number, error in enumerate(errors, start=1)]
    return RunningSheets([HEADER, *rows])


def test_the_error_column_is_left_alone_when_it_holds_a_text_that_we_never_wrote() -> None:
    # Issue 11, B6: the column's name alone does not hand it over.
    """VAs keep remarks of their own under Error, and a header alone does not say whose they are."""
    remembering = Remembering("Post is gone (former wording)")
    with _sheets("", "Post is gone (former wording)", "call the client first") as sheets:
        report = sheets.client().write_outcomes([scraped(1), failed(2), scraped(3)], remembering)
        rows = sheets.rows()
    assert len(report.written) == 3
    assert [row["Status"] for row in rows] == ["Scraped", "Failed", "Scraped"]
    assert [row["Error"] for row in rows] == [
        "",
        "Post is gone (former wording)",
        "call the client first",
    ]
    (warning,) = report.warnings
    assert warning.startswith('the column "Error" holds "call the client first" in row 4, which')


def test_our_own_texts_of_any_version_are_replaced_or_cleared() -> None:
    remembering = Remembering("Post is gone (former wording)")
    with _sheets("Post is gone (former wording)", "Post is gone (former wording)") as sheets:
        report = sheets.client().write_outcomes([scraped(1), failed(2)], remembering)
        assert [row["Error"] for row in sheets.rows()] == ["", "Post is deleted"]
        assert report.warnings == ()


def test_numbers_or_ticks_under_error_are_left_alone() -> None:
    for value in (7, True):
        with _sheets(value, "") as sheets:
            report = sheets.client().write_outcomes([failed(1), failed(2)], Remembering())
            assert [row["Error"] for row in sheets.rows()] == [value, ""]
            assert len(report.warnings) == 1


def test_the_error_column_is_written_when_its_cells_hold_no_remarks() -> None:
    # A header that is repeated further down, and a formula that is being computed.
    with _sheets("", "error", "#N/A") as sheets:
        report = sheets.client().write_outcomes([failed(1)], Remembering())
        assert (sheets.rows()[0]["Error"], report.warnings) == ("Post is deleted", ())


def test_the_warning_names_a_configured_error_column_that_is_left_alone() -> None:
    header = [name if name != "Error" else "Problem" for name in HEADER]
    with RunningSheets([header, sheet_row(1, Error="mine")]) as sheets:
        client = sheets.client(google_sheet_columns="Error=Problem")
        report = client.write_outcomes([failed(1)], Remembering())
        assert report.warnings[0].startswith('the column "Problem" holds "mine" in row 2')


def test_everything_is_written_back_after_a_run_killed_between_record_and_write() -> None:
    remembering = Remembering()
    with _sheets("", "") as sheets:
        sheets.fault("unavailable", "write", count=50)
        client = sheets.client(attempts=1)
        with pytest.raises(ServiceUnavailableError, match="503"):
            client.write_outcomes([failed(1)], remembering)
        assert remembering.texts == {"Post is deleted"}
        sheets.control("DELETE", "faults")
        assert sheets.client().write_outcomes([failed(1)], remembering).written == (address(1),)
        # The text is known from the first time on: the next answer may clear or replace it.
        sheets.edit({"do": "set", "cell": "F2", "value": "Ready to Scrape"})
        assert sheets.client().write_outcomes([scraped(1)], remembering).warnings == ()
        assert sheets.rows()[0]["Error"] == ""
