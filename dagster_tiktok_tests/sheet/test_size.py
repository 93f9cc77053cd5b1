"""Google's quota is counted in requests: a sheet of any size costs the same few."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_tiktok_tests.support.outcomes import is_written_back, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, sheet_row

ROWS = 45_000
READY = 1_000


def _rows() -> list[list[Any]]:
    ready = ROWS // READY
    return [
        sheet_row(number, Status="Ready to Scrape" if number % ready == 0 else "Scraped")
        for number in range(1, ROWS + 1)
    ]


@pytest.mark.slow
def test_45_000_rows_with_1_000_outcomes_take_four_reads_and_a_write() -> None:
    with RunningSheets([HEADER, *_rows()]) as sheets:
        keys = [number for number in range(1, ROWS + 1) if number % (ROWS // READY) == 0]

        client = sheets.client()
        grid = client.read()
        assert len(grid.rows) == ROWS + 1
        assert sheets.counts()["read"] == 1

        sheets.control("DELETE", "requests")
        report = client.write_outcomes([scraped(number) for number in keys])
        assert (len(report.written), report.conflicts) == (READY, ())
        assert (sheets.counts()["read"], sheets.counts()["write"]) == (3, 1)
        after = sheets.by_note()
        assert all(is_written_back(after[f"note {number}"], number) for number in keys)
        assert sum(row["Status"] == "Ready to Scrape" for row in after.values()) == 0
