"""The one table of why a post can't be read: what TikTok said, what a person reads, what follows.

A permanent failure ends the post's unit as unavailable. A transient one leaves the unit pending,
for a later run. TikTok answers HTTP 200 for almost all of them and puts a code and a message into
the page; the message is read first, because code 10204 is a catch-all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from dagster_tiktok.text import printable


class FailureKind(str, Enum):
    """The names under which failures are recorded (`error_kind`)."""

    GONE = "gone"
    PRIVATE = "private"
    WITHHELD = "withheld"
    GEOFENCED = "geofenced"
    AGE_WALL = "age_wall"
    BANNED_ACCOUNT = "banned_account"
    NOT_A_POST = "not_a_post"
    DEAD_LINK = "dead_link"

    NETWORK = "network"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    SHIELD = "shield"
    CHALLENGE = "challenge"
    LOGIN_WALL = "login_wall"
    UNREADABLE = "unreadable"
    INCOMPLETE = "incomplete"
    UNKNOWN_STATUS = "unknown_status"
    WRONG_ID = "wrong_id"


@dataclass(frozen=True)
class Failure:
    """One row of the table.

    `sentence` is what a VA reads. `codes` and `messages` are what it is recognised by on a page;
    `messages` are parts of `statusMsg` in lower case, with `_` for everything but letters and
    digits. `refusal`: counts for the breaker, because it says nothing about the post but that
    TikTok does not answer us. `about_post`: whether it may be the post's own fault; else it is
    ours or the network's, any post would have met it, and it must not be counted against this one.
    `PostError.about_post` knows more than the kind does.
    """

    kind: FailureKind
    sentence: str
    permanent: bool
    refusal: bool = False
    about_post: bool = True
    codes: frozenset[int] = frozenset()
    messages: tuple[str, ...] = ()


TRIED_AGAIN = "; it will be tried again"
"""Ends every transient sentence."""


def _permanent(
    kind: FailureKind, sentence: str, codes: Iterable[int] = (), messages: tuple[str, ...] = ()
) -> Failure:
    return Failure(kind, sentence, permanent=True, codes=frozenset(codes), messages=messages)


def _transient(
    kind: FailureKind,
    sentence: str,
    codes: Iterable[int] = (),
    *,
    refusal: bool = True,
    about_post: bool = True,
) -> Failure:
    return Failure(
        kind,
        f"{sentence}{TRIED_AGAIN}",
        permanent=False,
        refusal=refusal,
        about_post=about_post,
        codes=frozenset(codes),
    )


_ROWS = (
    _permanent(
        FailureKind.GONE,
        "The post does not exist on TikTok, or it was deleted",
        {10204},
        ("item_doesn", "status_deleted", "not_exist"),
    ),
    _permanent(
        FailureKind.PRIVATE,
        "The post is private, or its account is: make it public and set the row to ready again",
        {10216, 10222},
        ("status_self_see", "friend_see", "status_private", "is_private", "author_secret"),
    ),
    _permanent(
        FailureKind.WITHHELD,
        "TikTok withholds the post (review, copyright or rules): "
        "set the row to ready again when it shows",
        {10217, 10219, 10220, 10227, 10228, 10229, 10230},
        ("status_reviewing", "status_audit"),
    ),
    _permanent(
        FailureKind.GEOFENCED,
        "TikTok does not show the post in the country from which it is read",
        {10231},
        ("cross_border", "geo_fenc", "geofenc"),
    ),
    _permanent(
        FailureKind.AGE_WALL,
        "TikTok shows the post only to signed-in adults",
        {10213, 10214},
    ),
    _permanent(
        FailureKind.BANNED_ACCOUNT,
        "The post's account does not exist, or TikTok banned it",
        {10202, 10221},
        ("user_not_exist", "user_doesn", "user_banned", "account_banned"),
    ),
    _permanent(FailureKind.NOT_A_POST, "The link does not lead to a TikTok post"),
    _permanent(FailureKind.DEAD_LINK, "The short link leads nowhere: paste the post's full link"),
    _transient(FailureKind.NETWORK, "TikTok could not be reached", about_post=False),
    _transient(FailureKind.SERVER_ERROR, "TikTok had an error of its own", {10101}),
    _transient(FailureKind.RATE_LIMITED, "TikTok asked for fewer requests", about_post=False),
    _transient(
        FailureKind.SHIELD,
        "TikTok refused to show the post",
        {10000, 10113, 10114},
        about_post=False,
    ),
    _transient(
        FailureKind.CHALLENGE, "TikTok asked for a proof of not being a program", about_post=False
    ),
    _transient(FailureKind.LOGIN_WALL, "TikTok asked for a sign-in to show the post", {10102}),
    _transient(FailureKind.UNREADABLE, "TikTok's page could not be read"),
    _transient(FailureKind.INCOMPLETE, "TikTok's page lacked the essentials of the post"),
    _transient(
        FailureKind.UNKNOWN_STATUS,
        "TikTok gave a reason that is not known yet for not showing the post",
        refusal=False,
    ),
    _transient(FailureKind.WRONG_ID, "TikTok's page showed another post"),
)

FAILURES: dict[FailureKind, Failure] = {row.kind: row for row in _ROWS}
"""Every failure by its kind, in the order of the documentation."""

_BY_CODE = {code: row for row in _ROWS for code in row.codes}
_BY_MESSAGE = {part: row for row in _ROWS for part in row.messages}
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_MAX_MESSAGE_CHARACTERS = 500


def classify_status(code: int, message: str) -> Failure:
    """What `statusCode` and `statusMsg` of a page that shows no post mean.

    The message wins over the code, and of its parts the longest that is known. A code that is in
    no row is transient, so that a new one loses no post before it has been looked at.
    """
    words = _NOT_WORD.sub("_", message[:_MAX_MESSAGE_CHARACTERS].lower())
    if known := [part for part in _BY_MESSAGE if part in words]:
        return _BY_MESSAGE[max(known, key=len)]
    return _BY_CODE.get(code, FAILURES[FailureKind.UNKNOWN_STATUS])


class PostError(Exception):
    """A post could not be read. `str()` is the sentence for the VA.

    `detail` is for the operator: the code, message or address that it came from, printable.
    """

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(failure.sentence)
        self.failure = failure
        self.detail = printable(detail)

    @property
    def kind(self) -> FailureKind:
        return self.failure.kind

    @property
    def sentence(self) -> str:
        return self.failure.sentence

    @property
    def about_post(self) -> bool:
        """Whether this may be the post's own fault, so that it counts against the post."""
        return self.failure.about_post


class PostUnavailable(PostError):
    """The post can never be read: its unit ends here."""


class PostUnreadable(PostError):
    """The post could not be read now: its unit stays as it was.

    Arguments:
        page_json: the page's data as it was sent, where the parser did not understand it.
        before_page: it failed before a page was there (a status, a redirect to the login page),
            so it is not about the post, whatever its kind says of pages.
    """

    def __init__(
        self,
        failure: Failure,
        detail: str = "",
        *,
        page_json: str | None = None,
        before_page: bool = False,
    ) -> None:
        super().__init__(failure, detail)
        self.page_json = page_json
        self._before_page = before_page

    @property
    def about_post(self) -> bool:
        return self.failure.about_post and not self._before_page


def unavailable_or_unreadable(failure: Failure, detail: str) -> PostError:
    """The exception that goes with a failure."""
    return (PostUnavailable if failure.permanent else PostUnreadable)(failure, detail)


def unreadable(
    kind: FailureKind,
    detail: str = "",
    *,
    page_json: str | None = None,
    before_page: bool = False,
) -> PostUnreadable:
    """A transient failure by its kind."""
    return PostUnreadable(FAILURES[kind], detail, page_json=page_json, before_page=before_page)


def unavailable(kind: FailureKind, detail: str = "") -> PostUnavailable:
    """A permanent failure by its kind."""
    return PostUnavailable(FAILURES[kind], detail)
