"""What the closing report says, in which order, and how much of it."""

from __future__ import annotations

import io
from datetime import date, datetime, timezone
from typing import Any
from uuid import UUID

import pytest

from dagster_tiktok.assets.attention import Notice, alert_text, counted, in_order
from dagster_tiktok.assets.common import markdown_table
from dagster_tiktok.cli.run import RunOutcome
from dagster_tiktok.cli.run_report import print_outcome
from dagster_tiktok.models import BatchSummary, UnitError

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def error(number: int, **given: Any) -> UnitError:
    values: dict[str, Any] = {"slot": 0, "state": "done", "outcome": "unavailable"}
    return UnitError(unit_id=number, **{"source_key": f"link {number}", **values, **given})


def report(*errors: UnitError, **given: Any) -> list[str]:
    metrics: dict[str, Any] = dict.fromkeys(
        ("succeeded", "unavailable", "expired", "unfinished"), 0
    ) | dict.fromkeys(("slides_downloaded", "slides_uploaded", "bytes_downloaded"), 0)
    of_outcome = {name: given.pop(name) for name in ("notices", "notice_counts") if name in given}
    summary = BatchSummary(
        batch_id=UUID(int=1),
        partition_date=DAY,
        status="completed",
        duration_seconds=1,
        errors=errors,
        **{"urls_processed": len(errors), **metrics, **given},
    )
    file = io.StringIO()
    print_outcome(RunOutcome(summary, (), **of_outcome), file=file)
    return file.getvalue().splitlines()


def test_each_failed_row_is_listed_with_its_reason() -> None:
    lines = report(
        error(1, error="Post is deleted"),
        error(2, error="the day is over", outcome="expired", slot=3),
        error(3, state="pending", outcome=None, error="cut"),
    )
    assert lines[1:] == [
        "  failed: link 1: Post is deleted",
        "  failed: link 2 (day 3): the day is over",
        "  unfinished: link 3: cut",
    ]


def test_many_failed_rows_are_grouped_by_the_most_common_reasons() -> None:
    deleted = [error(number, error="Post is deleted") for number in range(19)]
    private = [error(number, error="Post is private") for number in range(30, 50)]
    others = [error(number, error=f"reason {number}") for number in range(60, 80)]

    lines = report(*deleted, *private, *others)

    assert lines[1] == "  failed: 20 x Post is private: link 30, link 31, link 32 and 17 more"
    assert lines[2] == "  failed: 19 x Post is deleted: link 0, link 1, link 2 and 16 more"
    assert lines[3] == "  failed: 1 x reason 60: link 60"
    assert (len(lines), lines[-1]) == (22, "  and 2 more reasons (see --json)")


def test_rows_that_cannot_be_written_back_are_listed() -> None:
    blocked = {"state": "persisted", "outcome": "scraped", "unanswered_since": NOON}
    lines = report(
        error(1, error="the cell B2 is protected", **blocked),
        error(2, error="the cell B3 is protected", **blocked),
    )
    assert lines[1:] == [
        "  row not written, needs your help: link 1: the cell B2 is protected",
        "  row not written, needs your help: link 2: the cell B3 is protected",
    ]


@pytest.mark.parametrize(
    ("failed", "processed", "told"),
    [
        (0, 0, "nothing is due"),
        (1, 0, "1 sheet could not be read or written; nothing else is due."),
        (2, 0, "2 sheets could not be read or written; nothing else is due."),
        (1, 3, "1 of the sheets could not be read or written."),
    ],
)
def test_the_first_line_names_sheets_that_could_not_be_read(
    failed: int, processed: int, told: str
) -> None:
    sheets = {f"sheet {number}": "why" for number in range(failed)}
    (headline,) = report(urls_processed=processed, sheets_failed=sheets)
    assert told in headline


NOTICES = [
    Notice(row=2, kind="row_ignored", warning="old draft"),
    Notice(row=90, kind="row_ignored", warning="new draft"),
    Notice(row=80, kind="value", warning="Date is not understood", ready=True),
    Notice(row=70, kind="row_ignored", warning="is loading", ready=True),
    Notice(row=60, kind="repeated", warning="rows 60 and 61 hold the same post", ready=True),
    Notice(row=None, kind="column", warning='the column "Comments" is left alone'),
]


def test_notices_on_columns_and_waiting_rows_come_first_and_cells_are_counted() -> None:
    counts = {"row_ignored": 30, "value": 1, "column": 1, "repeated": 1}
    lines = report(notices=tuple(in_order(NOTICES)), notice_counts=counts)
    assert lines[1:] == [
        "  in the sheet: 1 column, 30 ignored rows, 1 post in several rows, "
        "1 cell that was not accepted as it is (see --json)",
        '  check the sheet: the column "Comments" is left alone',
        "  check the sheet: is loading (row 70)",
        "  check the sheet: rows 60 and 61 hold the same post",
        "  check the sheet: new draft (row 90)",
        "  check the sheet: old draft (row 2)",
    ]
    assert "Date" not in alert_text("2026-11-20", NOTICES)
    assert counted({}) == ""


def test_a_long_message_in_a_table_keeps_its_end_which_says_what_to_do() -> None:
    message = f"{'what is wrong ' * 15}: paste the link itself"
    assert "paste the link itself" in markdown_table(["why"], [[message]])
