from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.layout import REQUIRED, find_layout
from dagster_tiktok_tests.sheet.grids import grid_of

HEADER = list(REQUIRED)


@pytest.mark.parametrize(
    "spelling",
    ["Post URL", "post url", "POST  URL ", "Post-URL", "post_url", "Post\nURL:", "URL", "Link"],
)
def test_given_a_usual_spelling_when_looked_for_then_the_address_column_is_found(
    spelling: str,
) -> None:
    layout = find_layout(grid_of([["Notes", *HEADER[1:], spelling]]))
    assert (layout.header_row, layout["Post URL"], layout["VA"]) == (1, 6, 1)


def test_given_titles_blank_and_extra_columns_when_looked_for_then_they_do_not_matter() -> None:
    rows = [["TikTok November"], [], ["", "Notes", *reversed(HEADER), "", "Notes", "Views"]]
    layout = find_layout(grid_of(rows))
    assert layout.header_row == 3
    assert (layout["Post URL"], layout["Status"], layout["Views"]) == (7, 2, 10)
    assert "Likes" not in layout
    assert layout.warnings == ()


def test_given_post_url_and_link_when_looked_for_then_the_exact_header_wins() -> None:
    assert find_layout(grid_of([["Link", "URL", *HEADER]]))["Post URL"] == 2


def test_given_an_optional_column_twice_when_looked_for_then_it_is_left_alone_and_said() -> None:
    layout = find_layout(grid_of([["Views", *HEADER, "views"]]))
    assert "Views" not in layout
    assert layout.warnings == ('the column "Views" stands twice (A and H) and is left alone',)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (HEADER[1:], ['"Post URL" is missing', "row 1", '"VA", "Creator"']),
        (HEADER[2:], ['"Post URL", "VA" are missing']),
        ([*HEADER, "status"], ['"Status" stands twice (F and G)']),
        (["URL", "Link", *HEADER[1:]], ['"Post URL" stands twice (A and B)']),
        (["some", "data"], ["none of its first 20 rows", '"Post URL"']),
        ([], ["it is empty", '"Post URL"']),
    ],
)
def test_given_a_header_that_cannot_be_used_when_looked_for_then_the_sentence_names_it(
    row: list[Any], words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        find_layout(grid_of([row]))
    message = str(raised.value)
    assert message.startswith('GOOGLE_SHEET_URL: the tab "Posts"')
    assert [word for word in words if word not in message] == []


def test_given_no_header_row_when_refused_then_no_cell_is_shown() -> None:
    with pytest.raises(ConfigurationError) as raised:
        find_layout(grid_of([["private words", "more of them", 7]]))
    assert "private" not in str(raised.value)


cells = st.one_of(
    st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.sampled_from(HEADER)
)


@given(st.lists(st.lists(cells, max_size=9), max_size=6))
def test_given_any_cells_when_looked_for_then_a_layout_or_a_sentence(rows: list[list[Any]]) -> None:
    try:
        layout = find_layout(grid_of(rows))
    except ConfigurationError as error:
        assert str(error).startswith("GOOGLE_SHEET_URL")
    else:
        assert set(REQUIRED) <= set(layout.columns)
        assert len(set(layout.columns.values())) == len(layout.columns)


@given(st.permutations(HEADER), st.data())
def test_given_headers_in_any_order_and_dress_when_looked_for_then_each_is_found(
    order: list[str], data: st.DataObject
) -> None:
    dress = st.sampled_from([str.upper, str.lower, str.title, lambda t: f" {t}: ", str.swapcase])
    row = [data.draw(dress)(header) for header in order]
    layout = find_layout(grid_of([row]))
    assert {name: layout[name] for name in HEADER} == {n: i for i, n in enumerate(order)}
