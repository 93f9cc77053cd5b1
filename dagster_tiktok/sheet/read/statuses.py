"""What a cell of the Status column means.

Only decoration is ignored: case, white space, marks and emoji that approve. A word more or less, a
question mark, a cross, an empty box or an hourglass may mean that the row is not ready; such a
status is not understood, and reported, because scraping too early cannot be taken back.
"""

from __future__ import annotations

import re
import unicodedata

from dagster_tiktok.sheet.grid import Cell, cell_text
from dagster_tiktok.text import quoted

READY, SCRAPED, FAILED = "Ready to Scrape", "Scraped", "Failed"

_WORDS = {
    "": "",
    "ready": READY,
    "ready to scrape": READY,
    "readytoscrape": READY,
    "ready to be scraped": READY,
    "ready for scraping": READY,
    "ready for scrape": READY,
    "scraped": SCRAPED,
    "failed": FAILED,
}
_APPROVING = "✅✔☑✓👍👌🆗🟢💚🚀✨🔥⭐🎉▶➡→•·"
_MARKS = "!.,:;-_*\"'|\u2013\u2014\u201c\u201d\u2018\u2019\u00ab\u00bb"
_FAILURE_MARKS = "❌✖✗❎🔴⚠🚫⛔"
"""Decoration of "Failed" alone."""

# Variation selectors, the joiner of emoji, skin tones, soft hyphens and marks of direction are
# not seen. An override of the direction (U+202D, U+202E) is not among them: it changes what is.
_INVISIBLE_MARKS = re.compile(
    "[\ufe0e\ufe0f\u200b-\u200f\u2060\u2066-\u2069\u202a-\u202c\u00ad\u061c\ufeff"
    "\U0001f3fb-\U0001f3ff]"
)
_DOTS = re.compile(r"\.\s*\.|…")


def parse_status(value: Cell) -> str | None:
    """READY, SCRAPED, FAILED, "" for an empty cell, None for any other status."""
    text = cell_text(value)
    if text in _EXACT:
        return _EXACT[text]
    words, failure = _words(text)
    status = _WORDS.get(words) if words else None
    return status if status == FAILED or not failure else None


_EXACT = {name: name for name in (READY, SCRAPED, FAILED, "")}


def unknown_status_message(text: str, also: str) -> str:
    """The warning about a status that is not known; `also` names further rows."""
    for name in (READY, SCRAPED, FAILED):
        if _looks_like(text, name):
            return (
                f'the status {quoted(text)}{also} looks like "{name}" but contains '
                "look-alike letters: type it again"
            )
    return (
        f"unknown status {quoted(text)}{also}: nothing happens to the row until the cell is set to "
        f'"{READY}"'
    )


def _words(text: str) -> tuple[str, bool]:
    """The words in lower case with one space between, "" if something else is there too."""
    # Before NFKC, which makes three dots of an ellipsis: both say "not yet".
    if _DOTS.search(text):
        return "", False
    plain = _INVISIBLE_MARKS.sub(
        "", unicodedata.normalize("NFKC", _INVISIBLE_MARKS.sub("", text))
    ).casefold()
    kept, failure = [], False
    for character in plain:
        if character.isalnum():
            kept.append(character)
        elif character.isspace() or character in _MARKS or character in _APPROVING:
            kept.append(" ")
        elif character in _FAILURE_MARKS:
            kept.append(" ")
            failure = True
        else:
            return "", False
    return " ".join("".join(kept).split()), failure


def _looks_like(text: str, name: str) -> bool:
    """Whether only letters beyond ASCII tell them apart."""
    normalize_header = unicodedata.normalize("NFKC", text).casefold()
    letters = [character for character in normalize_header if character.isalnum()]
    known = [character for character in name.casefold() if character.isalnum()]
    # One ASCII letter at least: a word in another alphabet is another word.
    return (
        len(letters) == len(known)
        and letters != known
        and any(character.isascii() for character in letters)
        and all(a == b or not a.isascii() for a, b in zip(letters, known))
    )
