from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.read.layout import REQUIRED, Layout, find_layout
from dagster_tiktok_tests.support.grids import grid_of

HEADER = ["Post URL", "VA", "Creator", "Set ID", "Type", "Status"]


def layout_of(*rows: list[Any], **own: str) -> Layout:
    """`own` is GOOGLE_SHEET_COLUMNS, with `_` for a space."""
    headers = {name.replace("_", " "): header for name, header in own.items()}
    return find_layout(replace(grid_of(rows), own_headers=headers))


@pytest.mark.parametrize(
    "spelling",
    ["Post URL", "post url", "POST  URL ", "Post-URL", "post_url", "Post\nURL:", "URL", "Link"],
)
def test_the_url_column_is_found_under_every_usual_spelling(
    spelling: str,
) -> None:
    layout = find_layout(grid_of([["Notes", *HEADER[1:], spelling]]))
    assert (layout.header_row, layout["Post URL"], layout["VA"]) == (1, 6, 1)


def test_titles_blank_and_extra_columns_do_not_matter() -> None:
    rows = [["TikTok November"], [], ["", "Notes", *reversed(HEADER), "", "Notes", "Views"]]
    layout = find_layout(grid_of(rows))
    assert layout.header_row == 3
    assert (layout["Post URL"], layout["Status"], layout["Views"]) == (7, 2, 10)
    assert "Likes" not in layout
    assert layout.warnings == ()


def test_the_exact_header_wins_over_a_synonym() -> None:
    assert find_layout(grid_of([["Link", "URL", *HEADER]]))["Post URL"] == 2


def test_a_duplicate_optional_column_is_left_alone_and_reported() -> None:
    layout = find_layout(grid_of([["Views", *HEADER, "views"]]))
    assert "Views" not in layout
    assert layout.warnings == ('the column "Views" appears twice (A and H) and is left alone',)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (HEADER[1:], ['"Post URL" is missing', "row 1", '"VA", "Creator"']),
        (HEADER[2:5], ['"Post URL", "Status" are missing', 'in row 1 are "Creator", "Set ID"']),
        ([*HEADER, "status"], ['"Status" appears twice (F and G)']),
        # Two columns that mean one thing are named as they are called.
        (
            ["URL", "Link", *HEADER[1:]],
            ['the column "Post URL" could be "URL" (A) or "Link" (B)', "GOOGLE_SHEET_COLUMNS"],
        ),
        (["Link", "link", "Status"], ['the column "Link" (it means "Post URL") appears twice']),
        # Fewer than two are known: what was found is shown all the same.
        (["Client", "Reel", "Stage"], ['"Post URL" and "Status" (row 1 holds "Client", "Reel"']),
        (["Client", "Video Link"], ['"Status" is missing', '"Client", "Video Link"']),
        ([], ["it is empty", '"Post URL"']),
    ],
)
def test_the_message_names_a_header_that_cannot_be_used(row: list[Any], words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        find_layout(grid_of([row]))
    message = str(raised.value)
    assert message.startswith('GOOGLE_SHEET_URL: the tab "Posts"')
    assert [word for word in words if word not in message] == []


def test_data_is_not_shown_when_there_is_no_header_row() -> None:
    with pytest.raises(ConfigurationError) as raised:
        layout_of(["My tracker"], ["Client", "me@example.com", "https://example.com/secret", 7])
    assert '(row 1 holds "My tracker")' in str(raised.value)
    assert "example.com" not in str(raised.value)


# Header rows as trackers have them: the columns that are understood, by place.
TRACKERS: list[tuple[list[list[Any]], int, dict[str, int]]] = [
    ([["Date Posted", "Account", "Link to TikTok", "Status"]], 1, {"Post URL": 2, "Date": 0}),
    ([["Video link", "Posted by", "Status"]], 1, {"Post URL": 0, "VA": 1}),
    ([["🔗 TikTok URL", "👤 Assigned to", "✅ Status", "📅 Date"]], 1, {"Post URL": 0, "VA": 1}),
    ([["#", "URL", "Set #", "STATUS"]], 1, {"Post URL": 1, "Set ID": 2, "Status": 3}),
    ([["1️⃣ Post URL", "2️⃣ Status"]], 1, {"Post URL": 0, "Status": 1}),
    # A title and a row of groups above the header.
    (
        [["November"], ["POST", "", "METRICS"], ["Link", "Status", "Views"], ["x", "", 3]],
        3,
        {"Post URL": 0, "Status": 1, "Views": 2},
    ),
    # What could be two things is not read: a profile is no creator, a set's name no number.
    ([["Link", "Account", "Set", "Content Type", "Status"]], 1, {"Post URL": 0, "Status": 4}),
]


@pytest.mark.parametrize(("rows", "number", "columns"), TRACKERS)
def test_the_header_of_a_real_tracker_can_be_used(
    rows: list[list[Any]], number: int, columns: dict[str, int]
) -> None:
    layout = layout_of(*rows)
    assert layout.header_row == number
    assert {name: layout.columns.get(name) for name in columns} == columns
    assert "Creator" not in layout


def test_one_warning_names_all_missing_optional_columns() -> None:
    layout = layout_of(["Link", "Status", "Creator"])
    assert dict(layout.columns) == {"Post URL": 0, "Status": 1, "Creator": 2}
    (warning,) = layout.warnings
    assert warning.startswith('no column "VA", "Set ID", "Type": posts are stored without them')
    assert "GOOGLE_SHEET_COLUMNS" in warning


def test_neither_of_two_candidates_for_an_optional_column_is_read() -> None:
    layout = layout_of(["Link", "Status", "Posted by", "Assigned To", "Creator", "Set ID", "Type"])
    assert "VA" not in layout
    assert layout.warnings == (
        'the column "VA" could be "Posted by" (C) or "Assigned To" (D) and is left alone',
    )


def test_configured_headers_win_over_all_other_names() -> None:
    row = ["Post URL", "TikTok Link", "Status", "Assigned To", "VA", "Set #", "Creator", "Model"]
    own = {"VA": "assigned to:", "Set_ID": "Set #", "Type": "Creator", "Creator": "Model"}
    layout = layout_of(row, Post_URL="TikTok Link", **own)
    assert dict(layout.columns) == {
        "Post URL": 1, "VA": 3, "Set ID": 5, "Type": 6, "Creator": 7, "Status": 2,
    }  # fmt: skip
    assert layout.headers["VA"] == "Assigned To"


def test_the_usual_name_is_used_when_a_tab_lacks_the_configured_header() -> None:
    own = {"Post_URL": "TikTok Link", "VA": "Assigned To", "Set_ID": "Set"}
    layout = layout_of(["URL", "VA", "Status", "Creator", "Type"], **own)
    assert (layout["Post URL"], layout["VA"], "Set ID" in layout) == (0, 1, False)


def test_a_configured_header_that_no_tab_has_is_named() -> None:
    with pytest.raises(ConfigurationError) as raised:
        layout_of(["Clip", "Status"], Post_URL="TikTok Link")
    assert '"Post URL" (GOOGLE_SHEET_COLUMNS calls it "TikTok Link") is missing' in str(
        raised.value
    )


# What stands in a column of the pipeline's name, and whether it is people's own.
@pytest.mark.parametrize(
    ("name", "cells", "theirs"),
    [
        ("Comments", ["", 12, "nice one"], "nice one"),
        ("Slides", ["5 of 7"], "5 of 7"),
        ("Shares", [False, True], "FALSE"),
        ("Views", ["1.2K"], "1.2K"),
        ("Likes", ["-"], "-"),
        ("Scraped At", ["yesterday"], "yesterday"),
        ("Comments", ["", None, 12, 3.0, "7", "1,234", " "], None),
        ("Views", ["#N/A", "Loading..."], None),
        # A header that is repeated for each month.
        ("Views", [3, "Views", 4], None),
        ("Scraped At", ["2026-11-22 14:03", 46348.5, "2026-11-22"], None),
    ],
)
def test_a_column_that_holds_what_we_never_write_is_left_alone(
    name: str, cells: list[Any], theirs: str | None
) -> None:
    """VAs keep remarks under Comments and plans under Slides: by its header alone we took it."""
    layout = layout_of([*HEADER, name], *[["x"] * 6 + [cell] for cell in cells])
    assert (name in layout) == (theirs is None)
    assert layout.left_alone == (frozenset() if theirs is None else {name})
    assert [f'the column "{name}" holds "{theirs}" in row ' in w for w in layout.warnings] == (
        [] if theirs is None else [True]
    )


cells = st.one_of(
    st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.sampled_from(HEADER)
)


@given(st.lists(st.lists(cells, max_size=9), max_size=6))
def test_any_cells_give_a_layout_or_a_message(rows: list[list[Any]]) -> None:
    try:
        layout = find_layout(grid_of(rows))
    except ConfigurationError as error:
        assert str(error).startswith("GOOGLE_SHEET_URL")
    else:
        assert set(REQUIRED) <= set(layout.columns)
        assert len(set(layout.columns.values())) == len(layout.columns)


@given(st.permutations(HEADER), st.data())
def test_headers_are_found_in_any_order_and_format(order: list[str], data: st.DataObject) -> None:
    dress = st.sampled_from([str.upper, str.lower, str.title, lambda t: f" {t}: ", str.swapcase])
    row = [data.draw(dress)(header) for header in order]
    layout = find_layout(grid_of([row]))
    assert {name: layout[name] for name in HEADER} == {n: i for i, n in enumerate(order)}


def test_a_warning_names_a_configured_header_that_the_tab_lacks() -> None:
    """A header of GOOGLE_SHEET_COLUMNS that one tab lacks was ignored without a word."""
    own = {"VA": "Assigned To", "Set ID": "Set #", "Post URL": "Link"}
    grid = replace(grid_of([["Link", "Status", "VA", "Creator", "Type"]]), own_headers=own)
    layout = find_layout(grid)
    told = [text for text in layout.warnings if "GOOGLE_SHEET_COLUMNS names" in text]
    assert told == [
        'the tab has no column "Assigned To", which GOOGLE_SHEET_COLUMNS names for "VA": "VA" is '
        "taken instead; correct the setting or the header",
        'the tab has no column "Set #", which GOOGLE_SHEET_COLUMNS names for "Set ID": nothing is '
        "taken instead; correct the setting or the header",
    ]
