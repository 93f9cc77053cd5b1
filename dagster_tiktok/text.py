"""Typed and scraped text, made safe and short enough to show to a user."""

from __future__ import annotations

import unicodedata


def counted(number: int, noun: str) -> str:
    """`1 conflict`, `2 conflicts`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """Replaces control, format and private-use characters, which could control a terminal."""
    return "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)


def truncate(text: str, length: int) -> str:
    """The text in at most `length` characters; a truncated one ends with `…`."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def quoted(text: str, length: int = 60) -> str:
    """Typed text as messages show it: in quotes, printable, truncated to `length` characters."""
    return f'"{printable(truncate(text, length))}"'


def split_formula(text: str, marks: str) -> list[str]:
    """Splits a formula at the marks that are not inside quotes, parentheses or braces."""
    parts, depth, in_quotes, start = [], 0, False, 0
    for index, character in enumerate(text):
        if character == '"':
            in_quotes = not in_quotes
        elif not in_quotes and character in "({":
            depth += 1
        elif not in_quotes and character in ")}":
            depth -= 1
        elif not in_quotes and not depth and character in marks:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
