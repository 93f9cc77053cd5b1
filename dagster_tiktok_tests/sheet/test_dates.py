from __future__ import annotations

from datetime import date, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_tiktok.sheet.read.dates import DateError, parse_date

DAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    "value",
    [
        46348,
        46348.75,
        "2026-11-22",
        "2026/11/22",
        "2026.11.22",
        "2026-11-22 14:03",
        "2026-11-22T14:03:59",
        "22.11.2026",
        "11/22/2026",
        "22/11/2026",
        "22-11-2026",
        "11/22/2026 2:03 PM",
        "Nov 22, 2026",
        "Nov. 22 2026",
        "november 22nd, 2026",
        "22 Nov 2026",
        "22nd of November, 2026",
        "22-Nov-2026",
        "Sunday, 22 November 2026",
        "Sun, Nov 22, 2026",
        "\u00a02026-11-22\n",
    ],
)
def test_a_usual_date_notation_is_parsed(value: Any) -> None:
    assert parse_date(value, timezone.utc) == DAY


@pytest.mark.parametrize("value", ["", None, "  ", "\u200b"])
def test_an_empty_date_cell_is_none(value: Any) -> None:
    assert parse_date(value, timezone.utc) is None


@pytest.mark.parametrize(
    "value",
    [
        "11/12/2026",
        "01-02-2026",
        "22/11/26",
        "Nov 22",
        "tomorrow",
        "46348",
        "2026-02-30",
        "2026-13-01",
        "0202-11-22",
        "22 Mon 2026",
        "2026-11/22",
        7,
        20261122,
        -1,
        1e300,
        float("nan"),
        True,
        "#REF!",
    ],
)
def test_an_ambiguous_or_impossible_date_is_reported(value: Any) -> None:
    with pytest.raises(DateError, match=r"^Date "):
        parse_date(value, timezone.utc)


def test_both_readings_of_an_ambiguous_date_are_named() -> None:
    with pytest.raises(DateError, match="2026-12-11 or 2026-11-12"):
        parse_date("11/12/2026", timezone.utc)


def test_a_date_with_equal_day_and_month_is_not_ambiguous() -> None:
    assert parse_date("11/11/2026", timezone.utc) == date(2026, 11, 11)


@pytest.mark.parametrize(
    "value", ["2026-11-21T23:30:00Z", "2026-11-21T23:30:00.123+00:00", "2026-11-22 01:30 +02:00"]
)
def test_a_time_with_an_offset_falls_on_the_pipelines_day(value: str) -> None:
    assert parse_date(value, ZoneInfo("Europe/Berlin")) == DAY
    assert parse_date(value, timezone.utc) == date(2026, 11, 21)


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_anything_parses_to_a_day_none_or_a_message(value: Any) -> None:
    try:
        day = parse_date(value, timezone.utc)
    except DateError as error:
        assert str(error).startswith("Date ")
    else:
        assert day is None or 2000 <= day.year <= 2100


@given(st.from_regex(r"\A[0-9]{1,4}[-/. ][0-9A-Za-z]{1,9}[-/. ,][0-9]{1,4}\Z"))
def test_a_parsed_day_holds_the_digits_that_were_typed(text: str) -> None:
    try:
        day = parse_date(text, timezone.utc)
    except DateError:
        return
    assert day is not None
    figures = {int(part) for part in text.replace("-", " ").replace("/", " ").replace(".", " ")
               .replace(",", " ").split() if part.isascii() and part.isdigit()}  # fmt: skip
    assert {day.year, day.day} <= figures


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 12, 31)))
def test_any_day_in_a_clear_notation_is_read_back(day: date) -> None:
    serial = (day - date(1899, 12, 30)).days
    notations = ["%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%b %d, %Y"]
    assert {parse_date(day.strftime(f), timezone.utc) for f in notations} == {day}
    assert parse_date(serial, timezone.utc) == day
