"""What `statusCode` and `statusMsg` mean, on a page of TikTok's that does not show the post.

TikTok responds with HTTP 200 in almost all of these cases. The message is read first, because code
10204 is a catch-all. A reason that we do not know ends no post: it is tried again, and counted.
"""

from __future__ import annotations

import re

from dagster_tiktok.tiktok.failures import FAILURES, Failure, FailureKind
from dagster_tiktok.tiktok.pages.shapes import DetailShape, UserDetailShape

# Of several permanent reasons, report the first in this order: nothing comes after deletion.
_PRECEDENCE = (
    FailureKind.GONE,
    FailureKind.BANNED_ACCOUNT,
    FailureKind.STORY,
    FailureKind.PRIVATE,
    FailureKind.WITHHELD,
    FailureKind.AGE_WALL,
    FailureKind.GEOFENCED,
)
_BY_CODE = {code: row for row in FAILURES.values() for code in row.status_codes}
_BY_MESSAGE = {f"_{part}": row for row in FAILURES.values() for part in row.status_messages}
# Messages that state a fact about the post or its account. The other messages of permanent rows
# name a check, and TikTok's servers also name it when the check itself failed.
_FACTS = frozenset(
    {
        *FAILURES[FailureKind.GONE].status_messages,
        "status_self_see",
        "status_private",
        "status_reviewing",
        "user_not_exist",
        "user_doesn_t_exist",
        "user_doesnt_exist",
        "user_does_not_exist",
        "user_banned",
        "account_banned",
    }
)
# Words of a server that could not find out. `false` and the like: the post passed the check.
_INCONCLUSIVE = re.compile(
    r"_(?:fail|unavail|error|unknown|retr(?:y|ies)|busy|limit|internal|rpc|exception|overload"
    r"|throttl|tempor|deadline|unreachable|degrad|try_again|panic"
    r"|(?:false|null|none|nil|0)(?![a-z0-9]))"
    r"|timed?_?out"
)
_JOINTS = re.compile(r"[&,;|+]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_MAX_MESSAGE_CHARACTERS = 500


def classify_status(code: int, message: str) -> Failure:
    """Which failure `statusCode` and `statusMsg` of a page without a post mean.

    The message wins over the code. It may join several reasons: a permanent one wins over a
    transient and an unknown one. An unknown message leaves the decision to the code. 10204 is in
    no row, because TikTok sends it for everything: alone it means `unknown_status`, which is
    transient, like every code that is in no row.

    Nothing is permanent if a server says that it could not find out: a part with such a word
    (`timeout`, `failed`, `rpc`, …) is no reason. Under a code that is transient by itself, a part
    counts only if all of it is a known fact.
    """
    parts = [_words(part) for part in _JOINTS.split(message[:_MAX_MESSAGE_CHARACTERS])]
    by_code = _BY_CODE.get(code, FAILURES[FailureKind.UNKNOWN_STATUS])
    is_transient_code = code in _BY_CODE and not by_code.permanent
    known = [(part, row) for part in parts if (row := _find_row(part)) is not None]
    permanent = [
        row
        for part, row in known
        if row.permanent and not is_inconclusive(part) and (not is_transient_code or part in _FACTS)
    ]
    if permanent:
        return min(permanent, key=lambda row: _PRECEDENCE.index(row.kind))
    if is_transient_code:
        return by_code
    if transient := [row for _, row in known if not row.permanent]:
        return transient[0]
    if any(is_inconclusive(part) for part in parts):
        return FAILURES[FailureKind.UNKNOWN_STATUS]
    return by_code


def describe_status(detail: DetailShape | UserDetailShape) -> str:
    """The status of a page, for the operator."""
    return f"statusCode {detail.status_code}, statusMsg {detail.status_msg!r}"


def is_inconclusive(message: str) -> bool:
    """Whether a message of TikTok's says that a server could not find out."""
    return _INCONCLUSIVE.search(f"_{_words(message)}") is not None


def _words(text: str) -> str:
    return _NOT_WORD.sub("_", _HUMP.sub("_", text).lower()).strip("_")


def _find_row(part: str) -> Failure | None:
    """The row with the longest message that starts at a word of `part`."""
    known = [known for known in _BY_MESSAGE if known in f"_{part}"]
    return _BY_MESSAGE[max(known, key=len)] if known else None
