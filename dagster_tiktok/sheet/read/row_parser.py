"""One row of the sheet, parsed as far as it can be; what is wrong with it, as a VA reads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Literal

from dagster_tiktok.models import RowDetails
from dagster_tiktok.sheet.grid import Cell, UnreadLink, cell_at, cell_text, has_no_value
from dagster_tiktok.sheet.read.dates import DateError, parse_date
from dagster_tiktok.sheet.read.layout import WRITTEN_IF_PRESENT, Layout
from dagster_tiktok.text import quoted
from dagster_tiktok.tiktok.links.post_links import (
    MAX_URL_CHARACTERS,
    PostUrlError,
    parse_post_link,
)

MAX_NAME_CHARACTERS = 200
"""Of VA and Creator. They are indexed, and an index entry holds about 2,700 bytes."""

_PASTE_THE_LINK = (
    "; the cell holds only text, even if it can be clicked: paste the post's link itself, without "
    "formatting (Ctrl+Shift+V)"
)
_MAX_SET_ID = 2**31 - 1
_TYPES: dict[str, Literal["NEW", "REPOST"]] = {"NEW": "NEW", "REPOST": "REPOST"}


class ParsedRow:
    """One row, parsed as far as possible. `problems` make it `Failed`; `warnings` do not."""

    __slots__ = ("details", "number", "problems", "tiktok_id", "unreadable", "warnings")

    def __init__(self, number: int, row: Sequence[Cell], layout: Layout, timezone: tzinfo) -> None:
        self.number = number
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.tiktok_id: str | None = None
        self.unreadable = unreadable_message(row, layout)
        url = cell_text(cell_at(row, layout["Post URL"]))
        self._parse_url(url)
        set_id = self._parse_set_id(_cell(row, layout, "Set ID")) if "Set ID" in layout else None
        post_type = (
            self._parse_post_type(cell_text(_cell(row, layout, "Type")))
            if "Type" in layout
            else None
        )
        created = None
        try:
            created = (
                parse_date(cell_at(row, layout["Date"]), timezone) if "Date" in layout else None
            )
        except DateError as error:
            self.warnings.append(str(error))
        self.details = RowDetails(
            va_url=url[:MAX_URL_CHARACTERS],
            va=self._parse_name("VA", row, layout),
            creator=self._parse_name("Creator", row, layout),
            set_id=set_id,
            post_type=post_type,
            created_date=created,
        )

    def _parse_url(self, url: str) -> None:
        if not url:
            self.problems.append("Post URL is empty")
            return
        try:
            self.tiktok_id = parse_post_link(url).tiktok_id
        except PostUrlError as error:
            # A link's title or a smart chip: the VA sees something to click, we get its text.
            shows_no_link = not any(mark in url for mark in "/.")
            self.problems.append(f"{error}{_PASTE_THE_LINK if shows_no_link else ''}")

    def _parse_set_id(self, value: Cell) -> int | None:
        # No grouping, sign or exponent: "1,234" may be 1234, 1.234 or two ids.
        text = cell_text(value)
        if not text:
            self.problems.append("Set ID is empty")
        elif isinstance(value, bool) or not (text.isascii() and text.isdigit()):
            self.problems.append(f"Set ID must be a whole number: {quoted(text)}")
        elif len(text) > 10 or int(text) > _MAX_SET_ID:
            self.problems.append(f"Set ID is too large: {quoted(text)}")
        else:
            return int(text)
        return None

    def _parse_post_type(self, text: str) -> Literal["NEW", "REPOST"] | None:
        post_type = _TYPES.get(text.upper())
        if post_type is not None:
            return post_type
        problem = f"Type must be NEW or REPOST: {quoted(text)}" if text else "Type is empty"
        self.problems.append(problem)
        return None

    def _parse_name(self, name: str, row: Sequence[Cell], layout: Layout) -> str | None:
        text = cell_text(_cell(row, layout, name))
        if name not in layout:
            return None
        if not text:
            self.warnings.append(f"{name} is empty")
        elif len(text) > MAX_NAME_CHARACTERS:
            self.warnings.append(
                f"{name} is shortened to {MAX_NAME_CHARACTERS} characters: {quoted(text)}"
            )
        return text[:MAX_NAME_CHARACTERS] or None


def unreadable_message(row: Sequence[Cell], layout: Layout) -> str:
    """Which cell of the row holds a formula's error or is still loading, "" if none does."""
    for name, column in layout.columns.items():
        if name not in WRITTEN_IF_PRESENT and has_no_value(value := cell_at(row, column)):
            if isinstance(value, UnreadLink):
                return (
                    f"{name} shows the text {quoted(cell_text(value))}, and the link under it "
                    "could not be read; the row stays as it is, and the next run reads it again: "
                    "to avoid this, paste the post's link itself"
                )
            return (
                f"{name} shows {quoted(cell_text(value))} at the moment; the row stays as it is, "
                "and the next run reads it again: if the error stays, fix the cell's formula"
            )
    return ""


def _cell(row: Sequence[Cell], layout: Layout, name: str) -> Cell:
    """What a row holds in a column, "" where the tab has no such column."""
    return cell_at(row, layout[name]) if name in layout else ""
