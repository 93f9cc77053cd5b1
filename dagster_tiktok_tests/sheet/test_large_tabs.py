"""A tab that is larger than the size limit is read by the columns that are needed."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.rows import row_key
from dagster_tiktok_tests.support.outcomes import is_written_back, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row

LIMIT = 200_000
ROWS = 100


def _large(where: int) -> list[list[Any]]:
    """The usual tab with a column of 10,000 characters a row, below the rows of the header."""
    rows = [[*HEADER], *(sheet_row(number) for number in range(1, ROWS + 1))]
    for number, row in enumerate(rows):
        row.insert(where, "Script" if number == 0 else "x" * 10_000 if number > 20 else "short")
    return rows


@pytest.mark.parametrize("by_gid", [True, False])
@pytest.mark.parametrize("where", [0, 3, len(HEADER)])
def test_only_needed_columns_are_read_when_the_tab_is_over_the_limit(
    where: int, by_gid: bool
) -> None:
    with RunningSheets(_large(where)) as sheets:
        tab = sheets.server.sheet_url_of(sheets.server.book.tabs[0])
        url = tab if by_gid else sheets.server.sheet_url.partition("#")[0]
        client = sheets.client(max_bytes=LIMIT, google_sheet_url=url)
        grid = client.read()
        layout = find_layout(grid)
        assert [row_key(row, layout) for row in grid.rows[1:]] == [
            address(number) for number in range(1, ROWS + 1)
        ]
        assert sheets.counts()["read"] == 3
        report = client.write_outcomes([scraped(1), scraped(60)])
        assert (len(report.written), report.conflicts, report.corrected) == (2, (), 0)
        after = sheets.rows()
        assert is_written_back(after[0], 1)
        assert is_written_back(after[59], 60)
        assert [row["Script"] for row in after] == ["short"] * 20 + ["x" * 10_000] * (ROWS - 20)


def test_columns_are_read_again_when_they_move_between_the_two_requests() -> None:
    with RunningSheets(_large(0)) as sheets:
        client = sheets.client(max_bytes=LIMIT)
        client.read()
        sheets.fault(
            "edit", "read", skip=1, edits=[{"do": "insert_column", "at": "B", "header": "New"}]
        )
        grid = client.read()
        layout = find_layout(grid)
        assert row_key(grid.rows[60], layout) == address(60)


def test_an_error_says_so_when_the_needed_columns_are_over_the_limit() -> None:
    with RunningSheets(_large(0)) as sheets:
        client = sheets.client(max_bytes=5_000)
        with pytest.raises(ServiceUnavailableError, match="more than 5,000 bytes"):
            client.read()
