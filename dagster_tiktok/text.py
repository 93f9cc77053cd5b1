"""Typed and scraped text on its way to a person's screen."""

from __future__ import annotations

import unicodedata


def counted(number: int, noun: str) -> str:
    """`1 conflict`, `2 conflicts`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """The text without what a terminal would obey: control, format and private characters."""
    return "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
