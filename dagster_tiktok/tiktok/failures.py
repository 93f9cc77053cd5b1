"""The one table of why a post can't be read: what TikTok said, what a person reads, what follows.

A permanent failure ends the post's unit as unavailable. A transient one leaves the unit pending,
for a later run. TikTok answers HTTP 200 for almost all of them and puts a code and a message into
the page; the message is read first, because code 10204 is a catch-all. What is
not known ends no post: it is tried again, and counted.
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
    STORY = "story"
    NOT_A_POST = "not_a_post"
    DEAD_LINK = "dead_link"

    NETWORK = "network"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    REGION_NOTICE = "region_notice"
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
    messages: tuple[str, ...] = (),
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
        messages=messages,
    )


_ROWS = (
    _permanent(
        FailureKind.GONE,
        "The post does not exist on TikTok, or it was deleted: check the link",
        messages=(
            "item_doesn_t_exist",
            "item_doesnt_exist",
            "item_does_not_exist",
            "item_not_exist",
            "video_not_exist",
            "post_not_exist",
            "status_deleted",
        ),
    ),
    _permanent(
        FailureKind.PRIVATE,
        "The post is private, or its account is: make it public and set the row to ready again",
        {10216, 10222},
        (
            "status_self_see",
            "friend_see",
            "status_private",
            "is_private",
            "author_secret",
        ),
    ),
    _permanent(
        FailureKind.WITHHELD,
        "TikTok withholds the post (review, copyright or rules): "
        "set the row to ready again when it shows",
        {10217, 10219, 10220, 10227, 10228, 10229, 10230},
        ("status_reviewing", "status_audit", "copyright"),
    ),
    _permanent(
        FailureKind.GEOFENCED,
        "TikTok does not show the post in the country from which we read: "
        "use another post, or tell the operator",
        {10231},
        ("cross_border", "geo_fenc", "geofenc"),
    ),
    _permanent(
        FailureKind.AGE_WALL,
        "TikTok shows the post only to signed-in adults: use another post",
        {10213, 10214},
        ("content_classification",),
    ),
    _permanent(
        FailureKind.BANNED_ACCOUNT,
        "The post's account does not exist, or TikTok banned it: use another post",
        {10202, 10221},
        (
            "author_status",
            "user_not_exist",
            "user_doesn_t_exist",
            "user_doesnt_exist",
            "user_does_not_exist",
            "user_banned",
            "account_banned",
        ),
    ),
    _permanent(
        FailureKind.STORY,
        "The link leads to a story, which is gone after a day: paste the link of a post",
        {10235},
        ("storypost", "story_post", "is_story"),
    ),
    _permanent(
        FailureKind.NOT_A_POST,
        "The link does not lead to a TikTok post: open the post and copy its own link",
    ),
    _permanent(FailureKind.DEAD_LINK, "The short link leads nowhere: paste the post's full link"),
    _transient(FailureKind.NETWORK, "TikTok could not be reached", about_post=False),
    _transient(
        FailureKind.SERVER_ERROR,
        "TikTok had an error of its own",
        {10101},
        ("server_error", "internal_error"),
    ),
    _transient(FailureKind.RATE_LIMITED, "TikTok asked for fewer requests", about_post=False),
    _transient(
        FailureKind.REGION_NOTICE,
        "TikTok is not offered in the country from which we read",
        about_post=False,
    ),
    _transient(
        FailureKind.SHIELD,
        "TikTok refused to show the post",
        {10000, 10113, 10114},
        about_post=False,
    ),
    _transient(
        FailureKind.CHALLENGE, "TikTok asked for a proof of not being a program", about_post=False
    ),
    _transient(
        FailureKind.LOGIN_WALL,
        "TikTok asked for a sign-in to show the post",
        {10102},
        ("not_login", "not_logged_in", "login_required", "need_login"),
    ),
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

# Of several final reasons the first of these is the one to tell: nothing comes after deletion.
_FINALITY = (
    FailureKind.GONE,
    FailureKind.BANNED_ACCOUNT,
    FailureKind.STORY,
    FailureKind.PRIVATE,
    FailureKind.WITHHELD,
    FailureKind.AGE_WALL,
    FailureKind.GEOFENCED,
)
_BY_CODE = {code: row for row in _ROWS for code in row.codes}
_BY_MESSAGE = {f"_{part}": row for row in _ROWS for part in row.messages}
# What states a fact about the post or its account, where it is the whole message. The other
# messages of permanent rows name a check, which TikTok's servers also do when they complain that
# it did not work.
_FACTS = frozenset(
    {
        *FAILURES[FailureKind.GONE].messages,
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
# Words of a server that could not find out. `false` and its like: the check was done, and the post
# passed it.
_NO_VERDICT = re.compile(
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
    """What `statusCode` and `statusMsg` of a page that shows no post mean.

    The message wins over the code. Where it joins several reasons, a final one wins over those
    that may pass and those that are not known. A message that is not known leaves the decision to
    the code; 10204 is in no row, because TikTok sends it for everything, so with nothing else said
    it is `unknown_status`: transient, as every code that is in no row.

    Nothing is final where a server says that it could not find out: a part with such a word
    (`timeout`, `failed`, `rpc`, …) is no reason, and under a code that is transient by itself only
    a part counts that is, as a whole, a fact.
    """
    parts = [_words(part) for part in _JOINTS.split(message[:_MAX_MESSAGE_CHARACTERS])]
    of_code = _BY_CODE.get(code, FAILURES[FailureKind.UNKNOWN_STATUS])
    may_pass = code in _BY_CODE and not of_code.permanent
    known = [(part, row) for part in parts if (row := _row_of_message(part)) is not None]
    final = [
        row
        for part, row in known
        if row.permanent and not is_no_verdict(part) and (not may_pass or part in _FACTS)
    ]
    if final:
        return min(final, key=lambda row: _FINALITY.index(row.kind))
    if may_pass:
        return of_code
    if passing := [row for _, row in known if not row.permanent]:
        return passing[0]
    if any(is_no_verdict(part) for part in parts):
        return FAILURES[FailureKind.UNKNOWN_STATUS]
    return of_code


def is_no_verdict(message: str) -> bool:
    """Whether a message of TikTok's has a word of a server that could not find out."""
    return _NO_VERDICT.search(f"_{_words(message)}") is not None


def _words(text: str) -> str:
    return _NOT_WORD.sub("_", _HUMP.sub("_", text).lower()).strip("_")


def _row_of_message(part: str) -> Failure | None:
    """The row whose message begins at a word of `part`; of several the longest."""
    known = [known for known in _BY_MESSAGE if known in f"_{part}"]
    return _BY_MESSAGE[max(known, key=len)] if known else None


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


class PostUnavailableError(PostError):
    """The post can never be read: its unit ends here."""


class PostUnreadableError(PostError):
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
    return (PostUnavailableError if failure.permanent else PostUnreadableError)(failure, detail)


def unreadable(
    kind: FailureKind,
    detail: str = "",
    *,
    page_json: str | None = None,
    before_page: bool = False,
) -> PostUnreadableError:
    """A transient failure by its kind."""
    return PostUnreadableError(FAILURES[kind], detail, page_json=page_json, before_page=before_page)


def unavailable(kind: FailureKind, detail: str = "") -> PostUnavailableError:
    """A permanent failure by its kind."""
    return PostUnavailableError(FAILURES[kind], detail)
