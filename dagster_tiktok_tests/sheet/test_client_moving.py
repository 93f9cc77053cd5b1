"""Rows that move, change and double while the system works."""

from __future__ import annotations

import random
from datetime import timezone
from typing import Any

import pytest

from dagster_tiktok.sheet.layout import find_layout
from dagster_tiktok.sheet.rows import read_rows
from dagster_tiktok_tests.sheet.outcomes import failed, is_answered, scraped
from dagster_tiktok_tests.sheets_support import HEADER, RunningSheets, address, sheet_row

MOVES: list[list[dict[str, Any]]] = [
    [{"do": "insert", "at": 2, "rows": [[*[""] * 14, "new"]]}],
    [{"do": "delete", "rows": [2]}],
    [{"do": "sort", "column": "D", "descending": True}],
    [{"do": "insert_column", "at": "B", "header": "Phone"}],
    [{"do": "delete", "rows": [3]}, {"do": "sort", "column": "D", "descending": True}],
]


@pytest.mark.parametrize("edits", MOVES)
def test_given_rows_move_in_the_moment_of_the_write_when_checked_then_it_is_all_put_right(
    sheets: RunningSheets, edits: list[dict[str, Any]]
) -> None:
    before = sheets.by_note()
    sheets.fault("edit", "write", edits=edits)
    report = sheets.client().write_outcomes([scraped(2), failed(3), scraped(5)])
    after = sheets.by_note()
    for number in (2, 5):
        assert f"note {number}" not in after or is_answered(after[f"note {number}"], number)
    assert (after["note 3"]["Status"], after["note 3"]["Error"]) == ("Failed", "Post is deleted")
    assert after["note 3"]["Views"] == ""
    for note in after.keys() & before.keys() - {"note 2", "note 3", "note 5"}:
        assert {name: after[note][name] for name in HEADER} == before[note]
    assert sheets.counts()["write"] <= 2
    gone = {address(2)} - {row["Post URL"] for row in after.values()}
    assert {conflict.source_key for conflict in report.conflicts} == gone
    assert set(report.written) == {address(2), address(3), address(5)} - gone


@pytest.mark.parametrize("seed", range(12))
def test_given_random_edits_between_reading_and_writing_when_written_then_no_wrong_cell_changes(
    seed: int,
) -> None:
    # Each server has a quota of its own; 17 rounds of 3 reads stay below it.
    dice = random.Random(seed)
    with RunningSheets([HEADER]) as sheets:
        client = sheets.client()
        for _ in range(17):
            sheets.server.book.tabs[0].rows[1:] = [sheet_row(n) for n in range(1, 9)]
            grid = client.read()
            requests = read_rows(grid, find_layout(grid), timezone.utc).ready
            chosen = dice.sample(requests, 4)
            sheets.edit(*_random_edits(dice))
            before = sheets.rows()
            outcomes = [
                scraped(0, source_key=row.source_key, copies=row.details.copies) for row in chosen
            ]
            report = client.write_outcomes(outcomes)
            _check_round(before, sheets.rows(), outcomes, report)


def _random_edits(dice: random.Random) -> list[dict[str, Any]]:
    edits: list[dict[str, Any]] = []
    rows = 8
    for index in range(dice.randint(1, 5)):
        do = dice.choice(["insert", "delete", "sort", "status", "duplicate"])
        row = dice.randint(2, rows + 1)
        if do == "insert":
            new = sheet_row(50 + index, Notes=f"new {index}")
            edits.append({"do": "insert", "at": row, "rows": [new]})
            rows += 1
        elif do == "delete":
            edits.append({"do": "delete", "rows": [row]})
            rows -= 1
        elif do == "sort":
            edits.append({"do": "sort", "column": dice.choice("ADFO"), "descending": index % 2})
        elif do == "status":
            status = dice.choice(["On hold", "Scraped", "Failed", ""])
            edits.append({"do": "set", "cell": f"F{row}", "value": status})
        else:
            copy = sheet_row(dice.randint(1, 8), Notes=f"copy {index}")
            edits.append({"do": "insert", "at": row, "rows": [copy]})
            rows += 1
    return edits


def _check_round(
    before: list[dict[str, Any]], after: list[dict[str, Any]], outcomes: Any, report: Any
) -> None:
    answered: dict[str, Any] = {"Status": "Scraped", "Error": "", "Scraped At": "2026-11-22 14:03"}
    answered |= {"Views": 100, "Likes": 0, "Comments": 1, "Slides": 0}
    in_conflict = {conflict.source_key for conflict in report.conflicts}
    expected = [dict(row) for row in before]
    for outcome in outcomes:
        rows = [row for row in expected if row["Post URL"] == outcome.source_key]
        ready = [row for row in rows if row["Status"] == "Ready to Scrape"]
        if len(ready) == 1:
            assert outcome.source_key in report.written
            ready[0].update(answered)
        elif ready or not rows or any(row["Status"] != "Scraped" for row in rows):
            assert outcome.source_key in in_conflict
        else:
            assert outcome.source_key in report.already
    assert after == expected
