from __future__ import annotations

from datetime import date, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_tiktok.models import RowRequest
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.rows import SheetRows, read_rows, ready_digest, row_key
from dagster_tiktok_tests.support.grids import grid_of
from dagster_tiktok_tests.support.sheets import HEADER, address, sheet_row


def read(*rows: list[Any]) -> SheetRows:
    grid = grid_of([HEADER, *rows])
    return read_rows(grid, find_layout(grid), timezone.utc)


def only(rows: SheetRows) -> RowRequest:
    (row,) = rows.ready
    return row


def test_a_complete_row_is_read() -> None:
    row = only(
        read([], sheet_row(7, Set_ID="007", Type="repost ", Date=46348, VA=" Ann\u00a0Lee "))
    )
    assert (row.source_key, row.row_number, row.problems) == (address(7), 3, ())
    assert row.tiktok_id == address(7).rpartition("/")[2]
    details = row.details
    assert (details.va_url, details.va, details.creator) == (address(7), "Ann Lee", "Bob")
    assert (details.set_id, details.post_type, details.copies) == (7, "REPOST", 1)
    assert details.created_date == date(2026, 11, 22)


def test_rows_with_only_links_and_statuses_are_read() -> None:
    grid = grid_of([["Status", "Link"], ["Ready to Scrape", address(1)], ["Ready to Scrape", ""]])
    rows = read_rows(grid, find_layout(grid), timezone.utc)
    good, empty = rows.ready
    details = good.details
    assert (good.problems, good.source_key) == ((), address(1))
    assert (details.va, details.creator, details.set_id, details.post_type) == (None,) * 4
    assert (empty.source_key, empty.problems) == ("row: |  |  | ", ("Post URL is empty",))
    assert len(rows.warnings) == 1


@pytest.mark.parametrize(
    "status",
    [
        "Ready to Scrape",
        " ready  to scrape",
        "READY TO\u00a0SCRAPE",
        "Ready",
        "\u2705 Ready to Scrape",
        "ready to scrape!",
        "Ready to Scrape \u2714\ufe0f",
        "Ready-to-Scrape",
        "ready_to_scrape",
        "ReadyToScrape",
        "Ready for scraping",
        "Ready to be scraped.",
        "Ready\u00ad to Scrape\u200e",
        "Ready to Scrape \U0001f44d\U0001f3fd",
        "\uff32\uff45\uff41\uff44\uff59",
    ],
)
def test_a_status_in_odd_case_and_spacing_is_ready(status: str) -> None:
    assert len(read(sheet_row(1, Status=status)).ready) == 1


def test_only_unknown_statuses_are_named_among_rows_that_are_not_ready() -> None:
    rows = read(
        sheet_row(1, Status="Scraped"),
        sheet_row(2, Status=""),
        sheet_row(3, Status="Ready to Scrap"),
        sheet_row(4, Status="Ready to Scrap"),
        sheet_row(5, Status="failed"),
        [],
    )
    assert rows.ready == ()
    assert [str(warning) for warning in rows.warnings] == [
        'unknown status "Ready to Scrap", also in row 5: nothing happens to the row until the cell '
        'is set to "Ready to Scrape" (row 4)'
    ]
    assert (rows.filled_rows, rows.ready_rows) == (5, 0)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("R\u0435ady to Scrape", "Ready to Scrape"),
        ("\u0405cr\u0430ped", "Scraped"),
    ],
)
def test_a_status_with_lookalike_letters_has_to_be_typed_again(status: str, name: str) -> None:
    (warning,) = read(sheet_row(1, Status=status)).warnings
    assert f'looks like "{name}" but contains look-alike letters: type it again' in (warning.text)


@pytest.mark.parametrize(
    "status",
    [
        # Refused, doubted, done already, crossed out, struck through, ready for something else.
        "not ready to scrape",
        "Not Ready",
        "ready?",
        "Ready to Scrape\uff1f",
        "Ready to Scrape \u2753",
        "Already scraped",
        "\u274c Ready to Scrape",
        "\u2610 Ready to Scrape",
        "[ ] Ready",
        "Ready to Scrape \u23f3",
        "Ready...",
        "R\u0336e\u0336a\u0336d\u0336y\u0336",
        "Ready to post",
        "Ready for review",
        "Un-ready",
        "Ready to Scrape tomorrow",
        "\u2705",
        "Draft",
        "\u0413\u041e\u0422\u041e\u0412\u041e",
        "Readyto",
        "—",
    ],
)
def test_the_message_on_an_unknown_status_names_the_known_one(status: str) -> None:
    (warning,) = read(sheet_row(1, Status=status)).warnings
    assert warning.text == (
        f'unknown status "{status}": nothing happens to the row until the cell is set to '
        '"Ready to Scrape"'
    )


@pytest.mark.parametrize(
    "shows",
    [
        "Loading...", "#N/A", "#REF!", "#ERROR!", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!",
        "#NULL!", " loading\u2026 ", "#SPILL!", "#\u00a1REF!", "#NAZWA?", "Cargando...",
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["Post_URL", "VA", "Creator", "Set_ID", "Type", "Date"])
def test_a_row_stays_ready_when_a_formula_shows_no_value(column: str, shows: str) -> None:
    rows = read(sheet_row(1, **{column: shows}), sheet_row(2))
    assert [row.source_key for row in rows.ready] == [address(2)]
    (warning,) = rows.attention
    assert (warning.row_number, warning.kind) == (2, "row_ignored")
    assert warning.text.startswith(
        f'{column.replace("_", " ")} shows "{shows.strip()}" at the moment'
    )


def test_a_row_is_named_when_its_status_formula_shows_no_value() -> None:
    rows = read(sheet_row(1, Status="#REF!"), sheet_row(2, Status="Loading..."))
    (warning,) = rows.attention
    assert str(warning).startswith('Status shows "#REF!" at the moment')
    assert str(warning).endswith("also in row 3 (row 2)")


def test_an_error_value_in_an_output_column_does_not_stop_its_row() -> None:
    assert len(read(sheet_row(1, Views="#REF!", Notes="Loading...")).ready) == 1


def test_the_readable_copy_of_a_row_counts_for_both() -> None:
    row = only(read(sheet_row(1, VA="#N/A"), sheet_row(1)))
    assert (row.row_number, row.details.copies, row.details.va) == (3, 2, "Ann")


def test_the_message_on_a_text_over_a_link_says_what_to_paste() -> None:
    (problem,) = only(read(sheet_row(1, Post_URL="Watch video"))).problems
    assert '"Watch video"' in problem
    assert "the cell holds only text, even if it can be clicked: paste the post's link" in problem


def test_all_mistakes_of_a_row_are_reported() -> None:
    row = only(read(sheet_row(1, Post_URL="htp://…", Set_ID="abc", Type="new post")))
    assert row.problems == (
        'Post URL is not a TikTok link: "htp://…"',
        'Set ID must be a whole number: "abc"',
        'Type must be NEW or REPOST: "new post"',
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("1,234", 'Set ID must be a whole number: "1,234"'),
        ("1e5", 'Set ID must be a whole number: "1e5"'),
        (12.5, 'Set ID must be a whole number: "12.5"'),
        (-3, 'Set ID must be a whole number: "-3"'),
        (True, 'Set ID must be a whole number: "TRUE"'),
        ("nan", 'Set ID must be a whole number: "nan"'),
        ("١٢", 'Set ID must be a whole number: "١٢"'),
        ("99999999999", 'Set ID is too large: "99999999999"'),
        ("2147483648", 'Set ID is too large: "2147483648"'),
        ("", "Set ID is empty"),
    ],
)
def test_a_set_id_that_is_no_number_is_not_guessed(value: Any, problem: str) -> None:
    row = only(read(sheet_row(1, Set_ID=value)))
    assert (row.details.set_id, row.problems) == (None, (problem,))


@pytest.mark.parametrize(("value", "number"), [(12, 12), (12.0, 12), ("012", 12), (" 0 ", 0)])
def test_a_set_id_is_read_from_every_form_that_sheets_returns(value: Any, number: int) -> None:
    row = only(read(sheet_row(1, Set_ID=value)))
    assert (row.details.set_id, row.problems) == (number, ())


def test_a_row_with_a_bad_date_or_no_va_is_scraped_and_reported() -> None:
    rows = read(sheet_row(1, Date="11/12/2026", VA="", Creator=""))
    row = only(rows)
    assert (row.problems, row.details.created_date, row.details.va) == ((), None, None)
    texts = [str(warning) for warning in rows.warnings]
    assert texts[0].startswith("Date could be 2026-12-11 or 2026-11-12")
    assert texts[1:] == ["VA is empty (row 2)", "Creator is empty (row 2)"]


def test_the_same_url_twice_is_one_row_with_copies() -> None:
    rows = read(sheet_row(1, Set_ID="abc"), sheet_row(2), sheet_row(1, Post_URL=f" {address(1)}\n"))
    first = rows.ready[0]
    assert (first.source_key, first.details.copies, first.row_number) == (address(1), 2, 4)
    assert first.problems == ()
    assert rows.ready_rows == 3
    assert [str(warning) for warning in rows.warnings] == [
        "rows 2 and 4 hold the same post: VA, Creator, Set ID, Type and Date of row 4 count, which "
        "is the first that can be used",
        'Set ID must be a whole number: "abc"; the value in row 4 is used instead (row 2)',
    ]


def test_one_message_says_which_of_several_rows_of_a_post_counts() -> None:
    rows = read(
        sheet_row(1, Status="Scraped", VA="Ann"),
        sheet_row(2),
        sheet_row(1, VA="Ben", Type="OLD"),
        sheet_row(1, VA="Cy"),
    )
    request = next(row for row in rows.ready if row.source_key == address(1))
    assert (request.details.va, request.details.copies, request.problems) == ("Ann", 2, ())
    assert [str(warning) for warning in rows.warnings] == [
        "rows 2, 4 and 5 hold the same post: VA, Creator, Set ID, Type and Date of row 2 count, "
        "which came first",
        'Type must be NEW or REPOST: "OLD"; the value in row 2 is used instead (row 4)',
    ]


def test_a_ready_row_without_a_url_can_be_found_again() -> None:
    row = only(read(sheet_row(9, Post_URL="\u200b ", Date="2026-11-22")))
    assert row.source_key == "row:Ann | Bob | 9 | NEW"
    assert row.problems == ("Post URL is empty",)


def test_a_row_without_a_url_stays_the_same_row_when_its_date_is_now() -> None:
    # =NOW() in Date: another number at every read, though of the same day.
    reads = [read(sheet_row(9, Post_URL="", Date=46348 + moment)) for moment in (0.25, 0.75)]
    assert reads[0].ready == reads[1].ready
    assert ready_digest(reads[0].ready) == ready_digest(reads[1].ready)


def test_rows_without_a_url_that_differ_only_in_date_are_copies() -> None:
    rows = read(sheet_row(9, Post_URL="", Date=46348), sheet_row(9, Post_URL="", Date=46349))
    assert (only(rows).details.copies, rows.warnings) == (2, ())


@pytest.mark.parametrize("filler", ["", "x" * 600])
def test_a_computed_key_typed_as_a_url_is_a_row_of_its_own(
    filler: str,
) -> None:
    long = read(sheet_row(1, Post_URL=address(1) + "y" * 600))
    bare = read(sheet_row(9, Post_URL="", VA="Ann" + filler))
    typed = [f"row:Ann{filler} | Bob | 9 | NEW", *(only(rows).source_key for rows in (long, bare))]
    keys = [only(read(sheet_row(5, Post_URL=text))).source_key for text in typed]
    known = {only(long).source_key, only(bare).source_key}
    assert not known & set(keys)
    assert all(len(key) <= 500 for key in [*known, *keys])


def test_the_key_of_a_very_long_url_is_short_and_stable() -> None:
    rows = [only(read(sheet_row(1, Post_URL=address(1) + "?x=" + "y" * 600))) for _ in range(2)]
    assert len(rows[0].source_key) == len("sha256:") + 64
    assert rows[0] == rows[1]


def test_composed_and_decomposed_letters_have_the_same_key() -> None:
    composed, decomposed = "https://tiktok.com/é", "https://tiktok.com/e\u0301"
    layout = find_layout(grid_of([HEADER]))
    assert row_key([composed], layout) == row_key([decomposed], layout)


def test_only_ready_rows_count_in_the_digest() -> None:
    one, two = sheet_row(1), sheet_row(2)
    digest = ready_digest(read(one, two).ready)
    assert digest == ready_digest(read([], two, one, sheet_row(3, Status="Scraped")).ready)
    assert digest != ready_digest(read(one).ready)
    assert digest != ready_digest(read(one, two, two).ready)
    assert digest != ready_digest(read(one, sheet_row(2, Set_ID="3")).ready)


cells = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none())


@given(st.lists(st.lists(cells, min_size=4, max_size=8), max_size=5))
def test_every_ready_row_of_any_cells_is_read_or_reported(
    rows: list[list[Any]],
) -> None:
    result = read(*[[*row[:4], "NEW", "Ready to Scrape", *row[4:]] for row in rows])
    assert sum(row.details.copies for row in result.ready) == len(rows) == result.ready_rows
    for row in result.ready:
        assert row.source_key == row.source_key.strip() or row.source_key.startswith("row:")
        assert len(row.source_key) <= 500
        row.source_key.encode()
        assert row.problems or (row.tiktok_id is not None and row.details.set_id is not None)


def test_an_overlong_cell_is_truncated_and_reported() -> None:
    rows = read(sheet_row(1, VA="x" * 50_000, Creator="y" * 200))
    assert only(rows).details.va == "x" * 200
    assert only(rows).details.creator == "y" * 200
    (warning,) = rows.warnings
    assert warning.text.startswith("VA is shortened to 200 characters: ")


def test_an_overlong_url_is_not_accepted_or_kept() -> None:
    row = only(read(sheet_row(1, Post_URL="https://www.tiktok.com/" + "a" * 50_000)))
    assert row.problems
    assert row.source_key.startswith("sha256:")
    assert len(row.details.va_url) <= 2048
