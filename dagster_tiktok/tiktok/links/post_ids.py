"""Which numbers can be the id of a post.

An id is a 64-bit number whose upper 32 bits are the upload time in unix seconds. So its length
shows whether it was truncated, and its first digits whether it was mistyped.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_DIGITS = re.compile(r"[0-9]+\Z")
_MAX_ID = 2**64 - 1
_USUAL_DIGITS = 19
"""From 2014 to 2043. A shorter number was truncated when the link was copied."""

# Musical.ly started in August 2014, and TikTok took over its posts. Nothing is older.
_FIRST_UPLOAD = datetime(2014, 8, 1, tzinfo=timezone.utc)
# When this rule was written: a clock that shows an earlier time is wrong.
_WRITTEN = datetime(2026, 11, 25, tzinfo=timezone.utc)
_CLOCK_TOLERANCE = timedelta(days=1)


def is_tiktok_id(text: str) -> bool:
    """Whether `text` can be the id of a post, at any time."""
    return _DIGITS.match(text) is not None and _is_possible(text)


def find_id_fault(text: str, now: datetime | None = None) -> str | None:
    """Why `text`, which is digits, can't be the id of a post in a link that a VA copied.

    A clock that is more than a day slow would make new posts impossible. But then no row is read
    at all: Google rejects a service account whose clock is wrong by minutes.

    Arguments:
        now: aware; the machine's clock by default.

    Returns:
        The part of a message that says what is wrong, None if the id is possible.
    """
    if len(text) < _USUAL_DIGITS:
        return f"{len(text)} digits, not {_USUAL_DIGITS}"
    if not _is_possible(text):
        if len(text) == _USUAL_DIGITS and not text.startswith("0"):
            return _describe_upload_day(text)
        return f"{len(text)} digits" if len(text) > _USUAL_DIGITS else "it starts with 0"
    if _upload_time(text) > max(now or datetime.now(timezone.utc), _WRITTEN) + _CLOCK_TOLERANCE:
        return _describe_upload_day(text)
    return None


def is_truncated_id(text: str) -> bool:
    """Whether `text`, which has a fault, is the beginning of a truncated id."""
    return len(text) < _USUAL_DIGITS and not text.startswith("0")


def is_whole_id(text: str) -> bool:
    """Whether `text`, which has a fault, has an id's length, so that a digit is wrong."""
    return len(text) == _USUAL_DIGITS and not text.startswith("0")


def _is_possible(digits: str) -> bool:
    # The length first: int() of a long text is slow.
    if not _USUAL_DIGITS <= len(digits) <= _USUAL_DIGITS + 1 or digits.startswith("0"):
        return False
    return int(digits) <= _MAX_ID and _upload_time(digits) >= _FIRST_UPLOAD


def _describe_upload_day(digits: str) -> str:
    return f"the post would be from {_upload_time(digits):%Y-%m-%d}"


def _upload_time(digits: str) -> datetime:
    return datetime.fromtimestamp(int(digits) >> 32, timezone.utc)
