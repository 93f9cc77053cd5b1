"""Detects a mistyped beginning of a link to TikTok.

Only for the message to the VA: we never request a host that looks like TikTok's.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_MOST_CHUNKS = 20
_BEGINNING = re.compile(
    r"(?i)[\"'(\[<{]{0,3}(?P<before>(?P<scheme>[a-z]{1,8})?(?P<joint>[:;.,]{0,2}/{1,4}|[:;]))?"
    r"(?P<host>[a-z0-9-]{2,63}(?:[.,;][a-z0-9-]{2,63}){0,4})(?P<after>[/?:]|\Z)"
)
_HOST = "tiktok.com"
_SAME = ("tiktok.com", "tiktokv.com", "tiktokv.us")
# "tikok.com" and "ticktok.com" are similar enough, "nottiktok.com" is another name.
_LIKE = 0.88


def mistyped_beginning(typed: str) -> str | None:
    """What is mistyped at the beginning of a link, as part of a message; None if nothing is.

    Arguments:
        typed: the cell's text, printable and of limited length.
    """
    for chunk in typed.split()[:_MOST_CHUNKS]:
        found = _BEGINNING.match(chunk)
        if found is None:
            continue
        host, before = found["host"].lower(), found["before"] or ""
        is_link = bool(before or found["after"])
        if any(host == same or host.endswith("." + same) for same in _SAME):
            if before.lower() not in ("", "//", "http://", "https://"):
                return f'"{before}", not "https://"'
        elif is_link and _is_like(host):
            return f'"{found["host"]}", not "{_HOST}"'
    return None


def _is_like(host: str) -> bool:
    labels = re.split(r"[.,;]", host.removeprefix("www"))
    name, last = ".".join(labels[-2:]), labels[-1]
    return any(
        SequenceMatcher(None, text, meant).ratio() >= _LIKE
        for text, meant in ((name, _HOST), (last, "tiktok"), (last, "tiktokcom"))
    )
