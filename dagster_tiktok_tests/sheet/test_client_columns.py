"""Columns that users insert, delete, move and rename at the moments around a write."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import timezone
from typing import Any

import pytest

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sandbox.sheets.book import Book, Tab
from dagster_tiktok.sandbox.sheets.edits import apply_edits
from dagster_tiktok.sheet.read.layout import WRITTEN_IF_PRESENT, find_layout
from dagster_tiktok.sheet.write.plan import RowOutcome, outcome_cells
from dagster_tiktok_tests.support.grids import grid_of
from dagster_tiktok_tests.support.outcomes import failed, is_written_back, scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row

pytestmark = pytest.mark.slow

READY = "Ready to Scrape"
URL_FIRST = ["Post URL", "Status"]
# How many reads pass before people edit: the formulas and the values come first, then the check.
MOMENTS = {"formulas": ("read", 0), "values": ("read", 1), "write": ("write", 0),
           "check": ("read", 2)}  # fmt: skip
HEADERS = [
    URL_FIRST,
    ["Status", "Post URL"],
    ["Post URL", "Error", "Status", "Views", "Notes"],
    ["VA", "Views", "Post URL", "Likes", "Status", "Error", "Scraped At", "Notes"],
    ["Views", "Post URL", "Status", "", "Notes"],
    ["VA", "Views", "Post URL", "Status", "Creator", "Set ID", "Type", "Error", "Likes", "Notes"],
    HEADER,
]


def a_row(header: list[str], number: int, **cells: Any) -> list[Any]:
    values = dict(zip(HEADER, sheet_row(number, **cells), strict=True))
    return [values.get(name, "") for name in header]


def cells(sheets: RunningSheets) -> list[list[Any]]:
    """All rows, as long as the header."""
    rows = sheets.control("GET", "rows")["rows"]
    return [row + [""] * (len(rows[0]) - len(row)) for row in rows]


@pytest.mark.parametrize("moment", ["write", "check"])
@pytest.mark.parametrize(
    ("edits", "header"),
    [
        ([{"do": "insert_column", "at": "A"}], ["", "Post URL", "Status"]),
        ([{"do": "insert_column", "at": "A", "header": "#"}], ["#", "Post URL", "Status"]),
        ([{"do": "insert_column", "at": "B"}], ["Post URL", "", "Status"]),
        ([{"do": "move_column", "at": "B", "to": "A"}], ["Status", "Post URL"]),
        ([{"do": "insert_column", "at": "A"}] * 2, ["", "", "Post URL", "Status"]),
        (
            [{"do": "insert_column", "at": "A"}, {"do": "sort", "column": "B", "descending": True}],
            ["", "Post URL", "Status"],
        ),
    ],
)
def test_links_and_outcomes_are_right_when_columns_move_during_a_write(
    edits: list[dict[str, Any]], header: list[str], moment: str
) -> None:
    """A column inserted left of Post URL during the write put the status over the link, and no run
    found the row again.
    """
    with RunningSheets([URL_FIRST, *([address(n), READY] for n in range(1, 5))]) as sheets:
        operation, skip = MOMENTS[moment]
        sheets.fault("edit", operation, skip=skip, edits=edits)
        report = sheets.client().write_outcomes([scraped(1), failed(3)])
        found, *rows = cells(sheets)
    assert found == header
    by_link = {row[header.index("Post URL")]: row for row in rows}
    statuses = {link: row[header.index("Status")] for link, row in by_link.items()}
    assert statuses == {
        address(1): "Scraped", address(2): READY, address(3): "Failed", address(4): READY,
    }  # fmt: skip
    assert set(report.written) == {address(1), address(3)}
    assert report.conflicts == ()
    assert sorted(map(len, map("".join, rows))) == sorted(
        len(link + status) for link, status in statuses.items()
    )


def test_an_overwritten_link_formula_is_restored_as_a_formula() -> None:
    links = [f'=HYPERLINK("{address(n)}", "Watch")' for n in range(1, 4)]
    with RunningSheets([URL_FIRST, *([link, READY] for link in links)]) as sheets:
        for number, link in enumerate(links, start=2):
            sheets.edit({"do": "set", "cell": f"A{number}", "value": link})
        sheets.fault("edit", "write", edits=[{"do": "insert_column", "at": "A"}])
        report = sheets.client().write_outcomes([scraped(1), scraped(2)])
        rows = cells(sheets)
    assert [row[1] for row in rows[1:]] == [{"formula": link} for link in links]
    assert [row[2] for row in rows[1:]] == ["Scraped", "Scraped", READY]
    assert report.conflicts == ()


def test_the_link_of_an_overwritten_smart_chip_is_restored() -> None:
    with RunningSheets([URL_FIRST, *([address(n), READY] for n in range(1, 4))]) as sheets:
        chip = {"do": "link", "cell": "A2", "text": "Watch", "link": address(1), "chip": True}
        sheets.edit(chip)
        sheets.fault("edit", "write", edits=[{"do": "insert_column", "at": "A"}])
        sheets.client().write_outcomes([scraped(1), scraped(2)])
        rows = cells(sheets)
    assert [row[1:3] for row in rows[1:]] == [
        [address(1), "Scraped"], [address(2), "Scraped"], [address(3), READY],
    ]  # fmt: skip


def test_overwritten_links_are_conflicts_when_they_cannot_be_told_apart() -> None:
    # A row is deleted too, and what is left of the others is alike.
    edits = [{"do": "insert_column", "at": "A"}, {"do": "delete", "rows": [3]}]
    with RunningSheets([URL_FIRST, *([address(n), READY] for n in range(1, 5))]) as sheets:
        sheets.fault("edit", "write", edits=edits)
        report = sheets.client().write_outcomes([scraped(n) for n in (1, 2, 3)])
    assert report.written == ()
    assert {conflict.source_key for conflict in report.conflicts} == {*map(address, range(1, 5))}
    assert all("rows 2, 3, 4 was overwritten or deleted: put the link back" in conflict.text
               for conflict in report.conflicts)  # fmt: skip


@pytest.mark.parametrize("at", ["A", "B", "F"])
@pytest.mark.parametrize("moment", ["write", "check"])
def test_overwritten_cells_are_restored_when_a_needed_column_is_deleted_during_the_write(
    at: str, moment: str
) -> None:
    rows = [sheet_row(n, Date="2026-11-01", Views=5 * n) for n in range(1, 5)]
    with RunningSheets([HEADER, *rows]) as sheets:
        operation, skip = MOMENTS[moment]
        delete = {"do": "delete_column", "at": at}
        sheets.fault("edit", operation, skip=skip, edits=[delete])
        outcomes = [scraped(1), failed(3)]
        client = sheets.client()
        if at == "B":
            client.write_outcomes(outcomes)
        else:
            with pytest.raises(ConfigurationError, match="is missing"):
                client.write_outcomes(outcomes)
        found = sheets.by_note()
    names = {name for name in HEADER if name != HEADER["ABCDEF".index(at)]}
    wanted = dict(zip(HEADER, rows[1], strict=True))
    assert found["note 2"] == {name: wanted[name] for name in names}
    if at == "B":
        assert is_written_back(found["note 1"], 1)
        assert found["note 3"]["Status"] == "Failed"
    elif moment == "write":
        wanted = dict(zip(HEADER, rows[0], strict=True))
        assert found["note 1"] == {name: wanted[name] for name in names}


@pytest.mark.parametrize("is_emptied", [True, False])
def test_only_a_deleted_column_is_emptied_when_the_last_header_is_missing(
    is_emptied: bool,
) -> None:
    gone = {"do": "set", "cell": "B1", "value": ""} if is_emptied else {
        "do": "delete_column", "at": "B"
    }  # fmt: skip
    with RunningSheets([URL_FIRST, *([address(n), READY] for n in range(1, 4))]) as sheets:
        sheets.fault("edit", "write", edits=[gone])
        with pytest.raises(ConfigurationError, match="Status"):
            sheets.client().write_outcomes([scraped(1)])
        rows = sheets.control("GET", "rows")["rows"][1:]
    statuses = [row[1] if len(row) > 1 else "" for row in rows]
    assert statuses == (["Scraped", READY, READY] if is_emptied else ["", "", ""])


@pytest.mark.parametrize("seed", range(10))
def test_each_cell_is_right_or_named_after_random_edits_of_columns_and_rows(
    seed: int,
) -> None:
    assert list(wrong_rounds(seed, 7)) == []


def wrong_rounds(seed: int, rounds: int) -> Iterator[Any]:
    dice = random.Random(seed)
    for _ in range(rounds):
        wrong = a_round(dice)
        if wrong:
            yield wrong


def a_round(dice: random.Random) -> Any:
    """What is wrong after one answer that people edited around, None if nothing is."""
    header = dice.choice(HEADERS)
    rows = [a_row(header, n, Status="Draft" if n % 3 == 0 else READY) for n in range(1, 9)]
    if "Views" in header:
        rows[2][header.index("Views")] = 77
    sides = dice.choice([["write"], ["write"], ["check"], ["write", "check"], list(MOMENTS)])
    faults = [(*MOMENTS[side], _edits(dice, len(header))) for side in sides]
    outcomes = [scraped(1), scraped(4), failed(7)]
    with RunningSheets([header, *rows]) as sheets:
        originals = list(sheets.server.book.tabs[0].rows)
        for operation, skip, edits in faults:
            sheets.fault("edit", operation, skip=skip, edits=edits)
        told, in_conflict = _written_back(sheets, outcomes)
        requests = sheets.control("GET", "requests")["requests"]
        found = _by_origin(sheets.server.book, originals)
    untouched, right = _played([header, *rows], requests, outcomes)
    ours = _written_columns(found[0][1])
    numbers = _numbers(told)
    wrong = []
    for origin, (number, row) in found.items():
        if isinstance(origin, int) and origin not in right:
            continue  # Sorted by cells that were hit, so that another row was deleted then.
        # A new row is blank.
        wanted = right[origin] if isinstance(origin, int) else []
        left = untouched[origin] if isinstance(origin, int) else []
        may_be_left = address(origin) in in_conflict if isinstance(origin, int) else False
        for column in range(max(len(row), len(wanted))):
            cell = _at(row, column)
            is_right = cell == _at(wanted, column) or (
                cell == _at(left, column)
                and (may_be_left or "cannot be used" in told or column not in ours)
            )
            if not is_right and number not in numbers:
                wrong.append((number, column, row, wanted))
    return (sides, faults, told, wrong) if wrong else None


def _at(row: list[Any], column: int) -> Any:
    return row[column] if column < len(row) else ""


def _written_columns(header: list[Any]) -> set[int]:
    """The columns that are the pipeline's now: another one gets back what it held."""
    try:
        layout = find_layout(grid_of([header]))
    except ConfigurationError:
        return set()
    return {layout[name] for name in ("Status", *WRITTEN_IF_PRESENT) if name in layout}


def _numbers(told: str) -> set[int]:
    """The rows that somebody is asked to look at."""
    named = re.findall(r"(?:check rows?|in one of the rows|in row) ([0-9, ]+)", told)
    return {int(number) for number in re.findall(r"[0-9]+", " ".join(named))}


def _written_back(sheets: RunningSheets, outcomes: list[RowOutcome]) -> tuple[str, set[str]]:
    try:
        report = sheets.client().write_outcomes(outcomes)
    except ConfigurationError as error:
        return str(error), set()
    told = "\n".join(conflict.text for conflict in report.conflicts)
    return told, {conflict.source_key for conflict in report.conflicts if not conflict.written}


def _by_origin(book: Book, originals: list[Any]) -> dict[Any, tuple[int, list[Any]]]:
    """Number and cells of each row, by the number that it had, or what a new one held."""
    began = {id(row): i for i, row in enumerate(originals)}
    found: dict[Any, tuple[int, list[Any]]] = {}
    for number, row in enumerate(book.tabs[0].rows, start=1):
        values = list(row)
        while values and values[-1] == "":
            values.pop()
        found[began.get(id(row), f"new {number}")] = (number, values)
    return found


def _played(
    rows: list[list[Any]], requests: list[dict[str, Any]], outcomes: list[RowOutcome]
) -> tuple[dict[Any, list[Any]], dict[Any, list[Any]]]:
    """The rows as they are without an answer, and with the right one at the moment of the write."""
    played = []
    for is_answered_right in (False, True):
        book = Book("id", "title", [Tab(0, "Posts", [list(row) for row in rows])])
        originals = list(book.tabs[0].rows)
        is_written = False
        for request in requests:
            if request["operation"] == "write" and not is_written:
                is_written = True
                # Before the edits: the cells that were meant are those of the last reading.
                if is_answered_right:
                    _answer(book, outcomes)
            apply_edits(book, request["edits"] or [])
        if is_answered_right and is_written:
            _answer(book, outcomes)
        played.append({o: cells for o, (_, cells) in _by_origin(book, originals).items()})
    return played[0], played[1]


def _answer(book: Book, outcomes: list[RowOutcome]) -> None:
    tab = book.tabs[0]
    try:
        layout = find_layout(grid_of(tab.rows), left_alone=frozenset())
    except ConfigurationError:
        return
    for number, row in enumerate(tab.rows):
        url, status = layout["Post URL"], layout["Status"]
        for outcome in outcomes:
            if row[url : url + 1] == [outcome.source_key] and row[status : status + 1] == [READY]:
                for name, value in outcome_cells(outcome, layout, timezone.utc).items():
                    tab.set(number, layout[name], value)


def _edits(dice: random.Random, width: int) -> list[dict[str, Any]]:
    edits: list[dict[str, Any]] = []
    for _ in range(dice.choice([1, 1, 2])):
        at, row = "ABCDEFGHIJKLMNO"[dice.randrange(width)], dice.randint(2, 6)
        to = "ABCDEFGHIJKLMNO"[dice.randrange(width)]
        kinds: list[dict[str, Any]] = [
            {"do": "insert_column", "at": at, "header": dice.choice(["", "Phone"])},
            {"do": "insert_column", "at": "A"},
            {"do": "delete_column", "at": at},
            {"do": "move_column", "at": at, "to": to},
            {"do": "set", "cell": f"{at}1", "value": "Other name"},
            {"do": "insert", "at": row, "rows": [[""]]},
            {"do": "delete", "rows": [row]},
            {"do": "sort", "column": at, "descending": dice.random() < 0.5},
        ]
        edits.append(dice.choice(kinds))
    return edits
