"""Which part of an image a request wants (RFC 9110, section 14): one byte range at most."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"^bytes=(?P<first>\d*)-(?P<last>\d*)$")


@dataclass(frozen=True)
class Part:
    """Bytes `start` to `end` (exclusive). `is_range`: the response is 206, else the whole file."""

    start: int
    end: int
    is_range: bool


def wanted_part(size: int, range_header: str, if_range: str, etag: str) -> Part | None:
    """The part that is wanted, or None if the range cannot be satisfied (416).

    Arguments:
        size: of the whole, in bytes.
        if_range: the validator of the part that the client has; another one than `etag` asks for
            the whole.
    """
    whole = Part(0, size, False)
    match = _RANGE.match(range_header.strip())
    if not match or (if_range and if_range != etag):
        return whole
    first, last = match["first"], match["last"]
    if not first and not last:
        return whole
    if not first:
        length = int(last)
        return Part(max(0, size - length), size, True) if length else None
    start = int(first)
    end = min(size, int(last) + 1) if last else size
    if last and int(last) < start:
        return whole
    return Part(start, end, True) if start < size else None
