from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.models import Metrics
from dagster_tiktok.sheet.grid import cell_text
from dagster_tiktok.sheet.write.plan import (
    CellWrite,
    RowOutcome,
    WritePlan,
    plan_writeback,
    safe_text,
)
from dagster_tiktok.sheet.write.ranges import as_ranges
from dagster_tiktok_tests.support.grids import grid_of
from dagster_tiktok_tests.support.sheets import HEADER, address, sheet_row

SCRAPED = RowOutcome(
    source_key=address(1),
    outcome="scraped",
    metrics=Metrics(views=10, likes=0),
    slide_count=6,
    scraped_at=datetime(2026, 11, 22, 23, 30, tzinfo=timezone.utc),
)


def plan(outcome: RowOutcome, *rows: list[Any], header: list[str] = HEADER) -> WritePlan:
    return plan_writeback(grid_of([header, *rows]), [outcome], ZoneInfo("Europe/Berlin"))


def conflict(planned: WritePlan) -> str:
    (found,) = planned.conflicts
    return found.text


def test_a_scraped_row_gets_its_values_where_columns_exist() -> None:
    planned = plan(SCRAPED, sheet_row(2), sheet_row(1))
    (write,) = planned.writes
    assert write.row_number == 3
    assert write.cells == {
        "Status": "Scraped",
        "Error": "",
        "Scraped At": "2026-11-23 00:30",
        "Views": 10,
        "Likes": 0,
        "Slides": 6,
    }
    assert (planned.already, planned.conflicts) == ((), ())


def test_only_the_status_is_written_when_there_are_only_the_required_columns() -> None:
    outcome = RowOutcome(source_key=address(1), outcome="unavailable", reason="deleted")
    planned = plan(outcome, sheet_row(1)[:6], header=HEADER[:6])
    assert [write.cells for write in planned.writes] == [{"Status": "Failed"}]


def test_a_row_that_is_gone_is_a_conflict() -> None:
    planned = plan(SCRAPED, sheet_row(2))
    assert (planned.writes, conflict(planned)) == ((), "the row is gone from the sheet")
    assert not planned.conflicts[0].waits


def test_more_copies_than_were_read_are_a_conflict() -> None:
    planned = plan(SCRAPED, sheet_row(1), sheet_row(2), sheet_row(1))
    assert planned.writes == ()
    assert conflict(planned) == (
        "its link is now in the ready rows 2 and 4, but was in 1 row when the sheet was read"
    )
    assert planned.conflicts[0].waits


def test_a_conflict_of_thousands_of_copies_names_a_few() -> None:
    for count, rows in (
        (3, "2, 3 and 4"),
        (4, "2, 3, 4 and 1 more"),
        (5000, "2, 3, 4 and 4,997 more"),
    ):
        planned = plan(SCRAPED, *([sheet_row(1)] * count))
        assert conflict(planned) == (
            f"its link is now in the ready rows {rows}, but was in 1 row when the sheet was read"
        )


def test_all_copies_that_were_read_are_written() -> None:
    planned = plan(SCRAPED.model_copy(update={"copies": 2}), sheet_row(1), sheet_row(1))
    assert ([write.row_number for write in planned.writes], planned.conflicts) == ([2, 3], ())


def test_the_remaining_copies_are_written_and_reported() -> None:
    planned = plan(SCRAPED.model_copy(update={"copies": 2}), sheet_row(1))
    assert [write.row_number for write in planned.writes] == [2]
    assert planned.conflicts[0].written
    assert conflict(planned) == "only 1 of the 2 rows with its link was still ready"


def test_nothing_is_written_when_the_status_is_already_the_same() -> None:
    planned = plan(SCRAPED, sheet_row(1, Status="scraped", Error="by hand"))
    assert (planned.writes, planned.already, planned.conflicts) == ((), (address(1),), ())


@pytest.mark.parametrize("status", ["Failed", "", "On hold", "Ready to Scrap"])
def test_another_status_is_a_conflict(status: str) -> None:
    planned = plan(SCRAPED, sheet_row(1, Status=status))
    assert (planned.writes, planned.already) == ((), ())
    assert conflict(planned) == f'the status was changed to "{status}" (row 2)'
    assert not planned.conflicts[0].waits


def test_only_the_ready_row_is_planned_when_an_old_row_has_the_same_url() -> None:
    planned = plan(SCRAPED, sheet_row(1, Status="Scraped"), sheet_row(1))
    assert ([write.row_number for write in planned.writes], planned.conflicts) == ([3], ())


def test_a_missing_status_column_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match='"Status" is missing'):
        plan(SCRAPED, header=[name for name in HEADER if name != "Status"])


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1+1", "'=1+1"),
        ("\x00\u200b\uff1d1", "'\uff1d1"),
        ("two\r\nlines", "two lines"),
        ("Post is deleted", "Post is deleted"),
    ],
)
def test_a_reason_cannot_become_a_formula(text: str, safe: str) -> None:
    assert safe_text(text) == safe


@given(st.text())
def test_any_reason_is_written_as_one_short_harmless_line(text: str) -> None:
    safe = safe_text(text)
    assert safe[:1] not in tuple("=+-@\t\r\n\0")
    assert len(safe) <= 501
    assert "\n" not in safe


@given(st.text(alphabet=st.characters(), max_size=30))
def test_cleaning_any_text_is_idempotent_and_the_result_can_be_encoded(
    text: str,
) -> None:
    clean = cell_text(text)
    clean.encode()
    assert cell_text(clean) == clean
    assert "\0" not in clean


@given(
    st.dictionaries(st.tuples(st.integers(1, 12), st.integers(0, 9)), st.integers(), max_size=60)
)
def test_ranges_cover_exactly_the_cells_they_are_made_from(
    cells: dict[tuple[int, int], int],
) -> None:
    covered = {}
    for item in as_ranges([CellWrite(*place, value) for place, value in cells.items()]):
        box = item["dataFilter"]["gridRange"]
        assert box["endColumnIndex"] - box["startColumnIndex"] == len(item["values"][0])
        assert box["endRowIndex"] - box["startRowIndex"] == len(item["values"])
        for down, line in enumerate(item["values"]):
            for right, value in enumerate(line):
                place = (box["startRowIndex"] + 1 + down, box["startColumnIndex"] + right)
                assert place not in covered
                covered[place] = value
    assert covered == cells


def test_a_block_of_rows_is_one_range() -> None:
    cells = [CellWrite(row, column, "x") for row in range(2, 1002) for column in (7, 5, 6)]
    (item,) = as_ranges(cells)
    assert item["dataFilter"]["gridRange"] == {
        "startRowIndex": 1,
        "endRowIndex": 1001,
        "startColumnIndex": 5,
        "endColumnIndex": 8,
    }
