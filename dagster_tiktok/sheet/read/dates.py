"""Dates as people type them and as Sheets stores them. An ambiguous one is not guessed at."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta, tzinfo

from dagster_tiktok.sheet.grid import Cell, cell_text
from dagster_tiktok.text import quoted

_EPOCH = date(1899, 12, 30)
_EARLIEST, _LATEST = date(2000, 1, 1), date(2100, 12, 31)
"""A date outside of these is a typing error, or a number that is not a date."""

_TIME = r"(?:(?:T| +|, *)[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?[AaPp][Mm])?)?"
_YEAR_FIRST = re.compile(
    rf"(?P<year>[0-9]{{4}})([-/.])(?P<month>[0-9]{{1,2}})\2(?P<day>[0-9]{{1,2}}){_TIME}\Z"
)
_YEAR_LAST = re.compile(
    rf"(?P<a>[0-9]{{1,2}})(?P<mark>[-/.])(?P<b>[0-9]{{1,2}})(?P=mark)(?P<year>[0-9]{{4}}){_TIME}\Z"
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? +)?"
_DAY_MONTH = re.compile(
    rf"{_WEEKDAY}(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?(?: of)?[ -](?P<month>[a-z]{{3,9}})\.?"
    rf"(?:[ -]|, ?)(?P<year>[0-9]{{4}}){_TIME}\Z",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    rf"{_WEEKDAY}(?P<month>[a-z]{{3,9}})\.?[ -](?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?"
    rf"(?:[ -]|, ?)(?P<year>[0-9]{{4}}){_TIME}\Z",
    re.IGNORECASE,
)
_ZONED = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]+)? ?"
    r"(?:(Z)|([+-][0-9]{2}):?([0-9]{2}))\Z",
    re.IGNORECASE,
)
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


class DateError(ValueError):
    """The value is no date, or could be two. A VA reads the message."""


def parse_date(value: Cell, timezone: tzinfo) -> date | None:
    """The day that a cell means, None for an empty cell.

    Numbers are Sheets' serial numbers. Text may be year-month-day in digits, day.month.year,
    a month's English name with day and year, or month and day in either order where only one
    order makes a date. A time is dropped; one with an offset is brought to `timezone` first.

    Raises:
        DateError: for everything else.
    """
    if isinstance(value, bool):
        raise DateError(f"Date is not a date: {quoted(cell_text(value))}")
    if isinstance(value, int | float):
        return _parse_serial(value)
    text = cell_text(value)
    if not text:
        return None
    zoned = _ZONED.match(text)
    day = _parse_instant(zoned, timezone) if zoned else _parse_text(text)
    if day is None or not _EARLIEST <= day <= _LATEST:
        raise DateError(f"Date is not understood: {quoted(text)}; write it like 2026-11-22")
    return day


def _parse_serial(number: float) -> date:
    if math.isfinite(number) and 0 < number < 100_000:
        day = _EPOCH + timedelta(days=int(number))
        if _EARLIEST <= day <= _LATEST:
            return day
    raise DateError(f"Date is not a date: {quoted(cell_text(number))}")


def _parse_instant(match: re.Match[str], timezone: tzinfo) -> date | None:
    day, time, zulu, hours, minutes = match.groups()
    offset = "+00:00" if zulu else f"{hours}:{minutes}"
    try:
        return datetime.fromisoformat(f"{day}T{time}{offset}").astimezone(timezone).date()
    except (ValueError, OverflowError):
        return None


def _parse_text(text: str) -> date | None:
    if match := _YEAR_FIRST.match(text):
        return _date(match["year"], match["month"], match["day"])
    if match := _YEAR_LAST.match(text):
        return _parse_numeric(match, text)
    if match := _DAY_MONTH.match(text) or _MONTH_DAY.match(text):
        month = _month(match["month"])
        return None if month is None else _date(match["year"], month, match["day"])
    return None


def _parse_numeric(match: re.Match[str], text: str) -> date | None:
    day_first = _date(match["year"], match["b"], match["a"])
    if match["mark"] == ".":
        return day_first
    month_first = _date(match["year"], match["a"], match["b"])
    if day_first and month_first and day_first != month_first:
        raise DateError(
            f"Date could be {day_first.isoformat()} or {month_first.isoformat()}: {quoted(text)}; "
            "write it like one of these"
        )
    return day_first or month_first


def _month(name: str) -> int | None:
    lowered = name.lower()
    for number, month in enumerate(_MONTHS, start=1):
        if lowered in (month, month[:3]) or (number == 9 and lowered == "sept"):
            return number
    return None


def _date(year: str, month: str | int, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
