"""Rows that move, change and are duplicated while the pipeline works."""

from __future__ import annotations

import random
from datetime import timezone
from typing import Any

import pytest

from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.rows import read_rows
from dagster_tiktok_tests.support.outcomes import failed, is_written_back, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row

pytestmark = pytest.mark.slow

MOVES: list[list[dict[str, Any]]] = [
    [{"do": "insert", "at": 2, "rows": [[*[""] * 14, "new"]]}],
    [{"do": "delete", "rows": [2]}],
    [{"do": "sort", "column": "D", "descending": True}],
    [{"do": "insert_column", "at": "B", "header": "Phone"}],
    [{"do": "delete", "rows": [3]}, {"do": "sort", "column": "D", "descending": True}],
]


@pytest.mark.parametrize("edits", MOVES)
def test_rows_that_move_during_the_write_are_corrected(
    sheets: RunningSheets, edits: list[dict[str, Any]]
) -> None:
    before = sheets.by_note()
    sheets.fault("edit", "write", edits=edits)
    report = sheets.client().write_outcomes([scraped(2), failed(3), scraped(5)])
    after = sheets.by_note()
    for number in (2, 5):
        assert f"note {number}" not in after or is_written_back(after[f"note {number}"], number)
    assert (after["note 3"]["Status"], after["note 3"]["Error"]) == ("Failed", "Post is deleted")
    assert after["note 3"]["Views"] == ""
    for note in after.keys() & before.keys() - {"note 2", "note 3", "note 5"}:
        assert {name: after[note][name] for name in HEADER} == before[note]
    assert sheets.counts()["write"] <= 2
    gone = {address(2)} - {row["Post URL"] for row in after.values()}
    assert {conflict.source_key for conflict in report.conflicts} == gone
    assert set(report.written) == {address(2), address(3), address(5)} - gone


@pytest.mark.parametrize("seed", range(12))
def test_no_wrong_cell_changes_after_random_edits_between_read_and_write(
    seed: int,
) -> None:
    # Each server has a quota of its own; 13 rounds of 4 reads stay below it.
    dice = random.Random(seed)
    with RunningSheets([HEADER]) as sheets:
        client = sheets.client()
        for _ in range(13):
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


@pytest.mark.parametrize("seed", range(12))
def test_no_other_row_keeps_our_values_after_random_edits_around_the_write(
    seed: int,
) -> None:
    # Edits before the formulas, before the values, before the write, before the check.
    """Two moves around one write left our values in the row of another post."""
    dice = random.Random(seed)
    with RunningSheets([HEADER]) as sheets:
        client = sheets.client()
        for round_ in range(10):
            sheets.control("DELETE", "faults")
            rows = [sheet_row(n, Status="Draft" if n % 3 == 0 else READY) for n in range(1, 9)]
            rows[2][9], rows[5][7] = 77, "an old note"
            sheets.server.book.tabs[0].rows[1:] = rows
            sides = dice.choice([("write",), ("check",), ("write", "check"), MOMENTS])
            for moment in sides:
                operation, skip = ("write", 0) if moment == "write" else ("read", MOMENTS[moment])
                edits = _moves(dice, f"{round_} {moment}")
                sheets.fault("edit", operation, skip=skip, edits=edits)
            outcomes = [scraped(1), scraped(4), failed(7)]
            report = client.write_outcomes(outcomes)
            asked = any("please check row" in conflict.text for conflict in report.conflicts)
            in_conflict = {conflict.source_key for conflict in report.conflicts}
            for row in sheets.rows():
                number = row["Notes"].removeprefix("note ")
                if number in ("1", "4"):
                    assert is_written_back(row, int(number)) or row["Post URL"] in in_conflict
                elif number == "7":
                    assert row["Status"] == "Failed" or row["Post URL"] in in_conflict
                else:
                    untouched = ("Draft" if number in ("3", "6") else READY, 77, "an old note")
                    found = (row["Status"], row["Views"], row["Error"])
                    wanted = (
                        untouched[0] if number.isdigit() else "",
                        77 if number == "3" else "",
                        "an old note" if number == "6" else "",
                    )
                    assert found == wanted or asked, (round_, sides, row)


READY = "Ready to Scrape"
# How many reads pass before people edit: the formulas and the values come first, then the check.
MOMENTS = {"formulas": 0, "values": 1, "write": 0, "check": 2}


def _moves(dice: random.Random, name: str) -> list[dict[str, Any]]:
    row = dice.randint(2, 6)
    blank = [*[""] * 14, f"new {name}"]
    edits: list[dict[str, Any]] = [
        {"do": "insert", "at": row, "rows": [blank]},
        {"do": "delete", "rows": [row]},
        {"do": "sort", "column": dice.choice("ADFO"), "descending": dice.random() < 0.5},
    ]
    return [dice.choice(edits)]


def test_a_draft_is_unchanged_when_rows_are_inserted_before_the_write_and_before_the_check(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "set", "cell": "F4", "value": "Draft"})
    before = sheets.by_note()
    blank = [*[""] * 14, "new"]
    sheets.fault("edit", "write", edits=[{"do": "insert", "at": 2, "rows": [blank]}])
    sheets.fault("edit", "read", skip=2, edits=[{"do": "insert", "at": 2, "rows": [blank]}])
    report = sheets.client().write_outcomes([scraped(4)])
    after = sheets.by_note()
    assert report.written == (address(4),)
    assert is_written_back(after.pop("note 4"), 4)
    assert after["note 3"] == before["note 3"]


def test_old_metrics_are_kept_when_a_header_is_renamed_meanwhile(
    sheets: RunningSheets,
) -> None:
    for cell in ("J2", "J3", "J4", "J5"):
        sheets.edit({"do": "set", "cell": cell, "value": "55"})
    blank = [*[""] * 14, "new"]
    rename = {"do": "set", "cell": "J1", "value": "Reach"}
    insert = {"do": "insert", "at": 2, "rows": [blank]}
    sheets.fault("edit", "write", edits=[insert, rename])
    sheets.client().write_outcomes([scraped(3)])
    after = sheets.by_note()
    assert [after[f"note {n}"]["Reach"] for n in (1, 2, 4)] == [55, 55, 55]
    assert after["note 2"]["Status"] == "Ready to Scrape"


def test_an_overwritten_formula_is_restored(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "set", "cell": "J3", "value": "=K3*2"})
    insert = {"do": "insert", "at": 2, "rows": [[*[""] * 14, "new"]]}
    sheets.fault("edit", "write", edits=[insert])
    sheets.client().write_outcomes([scraped(3)])
    after = sheets.by_note()
    assert is_written_back(after["note 3"], 3)
    assert after["note 2"]["Views"] == {"formula": "=K4*2"}
