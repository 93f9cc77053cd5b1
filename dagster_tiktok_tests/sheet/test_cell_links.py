"""Cells that show a text over a link, and status cells that are merged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timezone
from typing import Any

import pytest

from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok.sheet.grid import Grid
from dagster_tiktok.sheet.read.cell_links import group_rows
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.rows import ROW_IGNORED, SheetRows, read_rows
from dagster_tiktok_tests.support.outcomes import scraped
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row


def _hyperlink(number: int, text: str = "Watch") -> dict[str, Any]:
    return {"do": "set", "cell": f"A{number + 1}",
            "value": f'=HYPERLINK("{address(number)}", "{text}")'}  # fmt: skip


def _link(number: int, text: str = "Watch", *, chip: bool = False) -> dict[str, Any]:
    return {"do": "link", "cell": f"A{number + 1}", "text": text, "link": address(number),
            "chip": chip}  # fmt: skip


@pytest.fixture
def labelled() -> Iterator[RunningSheets]:
    """Rows 1 to 10 about as many posts; each says `Watch`, over a link of one of three kinds."""
    with RunningSheets([HEADER, *map(sheet_row, range(1, 11))]) as running:
        for number in range(1, 11):
            edits = (_hyperlink(number), _link(number), _link(number, chip=True))
            running.edit(edits[number % 3])
        yield running


def _read(grid: Grid) -> SheetRows:
    return read_rows(grid, find_layout(grid), timezone.utc)


def _outcomes(client: SheetClient) -> list[Any]:
    return [
        scraped(int(row.source_key[-17:]), source_key=row.source_key)
        for row in _read(client.read()).ready
    ]


def test_ten_rows_that_say_watch_are_told_apart_by_their_links(
    labelled: RunningSheets,
) -> None:
    ready = _read(labelled.client().read()).ready

    assert [row.source_key for row in ready] == [address(number) for number in range(1, 11)]
    assert all(not row.problems and row.details.copies == 1 for row in ready)
    assert labelled.counts() | {"token": 1} == {"read": 2, "metadata": 1, "write": 0, "token": 1}


def test_write_back_to_labelled_links_keeps_each_link(
    labelled: RunningSheets,
) -> None:
    client = labelled.client()

    report = client.write_outcomes(_outcomes(client))

    assert len(report.written) == 10 and not report.conflicts and not report.corrected
    assert {row["Status"] for row in labelled.rows()} == {"Scraped"}
    # Also the second time, when none of them waits.
    again = labelled.client()
    report = again.write_outcomes([scraped(number) for number in range(1, 11)])
    assert len(report.already) == 10 and not report.conflicts and not report.cells


def test_links_are_read_again_when_rows_are_sorted_between_values_and_links(
    labelled: RunningSheets,
) -> None:
    sort = {"do": "sort", "column": "D", "descending": True}
    labelled.fault("edit", "metadata", edits=[sort])

    ready = _read(labelled.client().read()).ready

    # The set is that of the link, not that of the row that stood there a moment ago.
    assert {row.source_key: row.details.set_id for row in ready} == {
        address(number): number for number in range(1, 11)
    }


@pytest.mark.parametrize("seed", range(6))
def test_labelled_rows_that_move_around_the_write_get_their_own_outcomes(
    labelled: RunningSheets, seed: int
) -> None:
    dice = random.Random(seed)
    draft = sheet_row(99, Status="Draft")
    outcomes = _outcomes(labelled.client())[:5]
    for operation, skip in (("write", 0), ("metadata", 0), ("read", dice.randrange(1, 5))):
        edit = dice.choice([
            {"do": "insert", "at": dice.randrange(2, 9), "rows": [draft]},
            {"do": "sort", "column": "D", "descending": bool(dice.randrange(2))},
        ])  # fmt: skip
        labelled.fault("edit", operation, skip=skip, edits=[edit])

    report = labelled.client().write_outcomes(outcomes)

    for row in labelled.rows():
        if row["Status"] == "Scraped":
            assert str(row["Set ID"]) in {"1", "2", "3", "4", "5"} or report.conflicts
        elif str(row["Set ID"]) == "99":
            assert row["Status"] == "Draft" and row["Views"] == ""
        else:
            assert row["Status"] == "Ready to Scrape"
    told = {conflict.source_key for conflict in report.conflicts}
    done = {str(row["Set ID"]) for row in labelled.rows() if row["Status"] == "Scraped"}
    assert all(str(int(o.source_key[-17:])) in done or o.source_key in told for o in outcomes)


def test_rows_whose_links_cannot_be_read_stay_ready_and_are_named(
    labelled: RunningSheets,
) -> None:
    labelled.edit({"do": "set", "cell": "A4", "value": address(3)})
    labelled.fault("unavailable", "metadata", count=100)

    rows = _read(labelled.client().read())

    assert [row.source_key for row in rows.ready] == [address(3)]
    assert [warning.kind for warning in rows.attention] == [ROW_IGNORED]
    assert 'Post URL shows the text "Watch"' in rows.attention[0].text
    assert "also in 8 more rows" in rows.attention[0].text


def test_rows_without_readable_links_do_not_stop_the_write_back_of_others(
    labelled: RunningSheets,
) -> None:
    labelled.edit({"do": "set", "cell": "A4", "value": address(3)})
    outcomes = _outcomes(labelled.client())
    labelled.fault("forbidden", "metadata", count=100)

    report = labelled.client().write_outcomes(outcomes)

    assert report.written == (address(3),)
    assert len(report.conflicts) == 9
    assert "could not be read now" in report.conflicts[0].text
    assert sum(row["Status"] == "Ready to Scrape" for row in labelled.rows()) == 9


def test_links_that_fail_only_in_the_check_misjudge_no_row(
    labelled: RunningSheets,
) -> None:
    client = labelled.client()
    outcomes = _outcomes(client)
    # The first call before the write passes, and the check is repeated like any other reading.
    labelled.fault("unavailable", "metadata", skip=1, count=2)

    report = client.write_outcomes(outcomes)

    assert len(report.written) == 10 and not report.conflicts


@pytest.mark.parametrize(
    ("text", "link", "key"),
    [
        # A text without a link is what it says; the VA is told in the row.
        ("Watch", "", "Watch"),
        # A link that is no post's is named for what it is.
        ("Watch", "https://www.youtube.com/shorts/abc", "https://www.youtube.com/shorts/abc"),
        # Nothing but web links are taken.
        ("Watch", "javascript:alert(1)", "Watch"),
        # What the cell shows itself is not replaced.
        ("https://example.com/a", "https://example.com/a", "https://example.com/a"),
        # A link that can be read is not asked for.
        (address(7), "https://www.tiktok.com/@other/video/7300000000000000008", address(7)),
        ("TikTok - Make Your Day", address(5), address(5)),
    ],
)
def test_the_key_of_a_cell(sheets: RunningSheets, text: str, link: str, key: str) -> None:
    sheets.edit({"do": "link", "cell": "A2", "text": text, "link": link})

    grid = sheets.client().read()

    assert _read(grid).ready[0].source_key == key or key == address(5)
    assert key in {row.source_key for row in _read(grid).ready}


def test_no_links_are_requested_for_rows_that_are_not_ready(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "set", "cell": "F2", "value": "Scraped"}, _link(1))
    client = sheets.client()

    client.read(merges=True)

    assert sheets.counts()["metadata"] == 0


@pytest.mark.parametrize(
    ("numbers", "most", "found"),
    [
        ([2, 3, 4, 9], 5, [(2, 4), (9, 9)]),
        ([2, 4, 6, 20], 2, [(2, 6), (20, 20)]),
        ([2, 4, 6], 1, [(2, 6)]),
        ([7], 1, [(7, 7)]),
    ],
)
def test_rows_are_grouped_into_spans(
    numbers: list[int], most: int, found: list[tuple[int, int]]
) -> None:
    assert group_rows(numbers, most) == found


def test_any_rows_fit_into_a_limited_number_of_spans() -> None:
    dice = random.Random(1)
    for _ in range(200):
        numbers = sorted(dice.sample(range(2, 400), dice.randrange(1, 200)))
        most = dice.randrange(1, 40)
        found = group_rows(numbers, most)
        assert len(found) <= most
        assert all(any(first <= n <= last for first, last in found) for n in numbers)


def test_lower_rows_of_a_merged_status_are_named(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "merge", "range": "F3:F5"}, {"do": "merge", "range": "B2:B7"})

    rows = _read(sheets.client().read(merges=True))

    assert [row.row_number for row in rows.ready] == [2, 3, 6, 7]
    assert [(w.row_number, w.kind) for w in rows.attention] == [(4, ROW_IGNORED)]
    text = rows.attention[0].text
    assert "merged with F3, so rows 4 to 5 have no status" in text and "Unmerge" in text
    assert sheets.counts()["metadata"] == 1


def test_merges_are_not_requested_when_no_row_can_be_hidden_by_one(
    sheets: RunningSheets,
) -> None:
    sheets.client().read(merges=True)

    assert sheets.counts()["metadata"] == 0


def test_rows_are_read_when_merges_cannot_be(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "merge", "range": "F3:F5"})
    sheets.fault("forbidden", "metadata", count=100)

    rows = _read(sheets.client().read(merges=True))

    assert len(rows.ready) == 4 and not rows.attention


def test_rows_without_a_link_in_merged_cells_are_named(
    sheets: RunningSheets,
) -> None:
    sheets.edit({"do": "merge", "range": "A3:A5"})
    rows = _read(sheets.client().read(merges=True))
    (text,) = [warning.text for warning in rows.attention if warning.row_number == 4]
    assert "the Post URL cell is merged with A3, so rows 4 to 5 have no link of their own" in text


@pytest.mark.parametrize(("range_", "name"), [("F3:F4", "Status"), ("A3:A4", "Post URL")])
def test_doctor_names_merged_cells_with_one_request(
    sheets: RunningSheets, range_: str, name: str
) -> None:
    sheets.edit({"do": "merge", "range": range_})
    check = sheets.client().check()
    (text,) = [warning for warning in check.warnings if "merged" in warning]
    assert text.startswith(f"the {name} cell is merged with {range_[:2]}, so row 4 has no ")
    assert text.endswith("(row 4)")
    # The other one asks for the links of the rows that wait.
    assert sheets.counts()["metadata"] == 2


def test_doctor_does_not_request_merges_when_there_are_none(
    sheets: RunningSheets,
) -> None:
    sheets.client().check()
    # The one that asks for the links of the rows that wait.
    assert sheets.counts()["metadata"] == 1


def test_the_text_wins_over_a_link_to_another_post_and_is_reported() -> None:
    """The text counted without a word, while the docs said that the link is read."""
    rows = [HEADER, *(sheet_row(number) for number in range(1, 5))]
    with RunningSheets(rows) as sheets:
        link = {"text": address(2), "link": address(12)}
        sheets.edit(
            {"do": "link", "cell": "A3", **link},
            {"do": "link", "cell": "A2", "text": address(1), "link": address(1) + "?is_copy=1"},
            {"do": "set", "cell": "A4", "value": f'=HYPERLINK("{address(13)}","{address(3)}")'},
        )
        client = sheets.client()
        told = [text for text in client.check().warnings if "links to another" in text]
        assert [text[:11] for text in told] == ["the cell A3", "the cell A4"]
        report = client.write_outcomes([scraped(2), scraped(3)])
        assert report.written == (address(2), address(3))
        assert [text[:11] for text in report.warnings] == ["the cell A4"]
