"""Why a post could not be read: the one table of failures, and the exceptions that carry them.

A permanent failure ends the post's unit as unavailable. A transient one leaves the unit pending,
and a later run tries again. Which failure a page's status means is decided in
`pages.status_codes`.
"""

from __future__ import annotations

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

    `message`: what a VA reads in the sheet.
    `permanent`: trying again will not help.
    `rejection`: counts for the breaker: TikTok turned us away, which says nothing about the post.
    `about_post`: may be the post's own fault, so it counts against the post. Otherwise any post
    would have met it: it is ours, or the network's. `PostError.about_post` knows more than this.
    `status_codes`, `status_messages`: what a page says in this case. The messages are parts of
    `statusMsg` in lower case, with `_` for everything but letters and digits.
    """

    kind: FailureKind
    message: str
    permanent: bool
    rejection: bool = False
    about_post: bool = True
    status_codes: frozenset[int] = frozenset()
    status_messages: tuple[str, ...] = ()


WILL_RETRY = "; we will try again automatically"
"""Ends every message of a transient failure."""


def _permanent(
    kind: FailureKind,
    message: str,
    status_codes: Iterable[int] = (),
    status_messages: tuple[str, ...] = (),
) -> Failure:
    return Failure(
        kind,
        message,
        permanent=True,
        status_codes=frozenset(status_codes),
        status_messages=status_messages,
    )


def _transient(
    kind: FailureKind,
    message: str,
    status_codes: Iterable[int] = (),
    status_messages: tuple[str, ...] = (),
    *,
    rejection: bool = True,
    about_post: bool = True,
) -> Failure:
    return Failure(
        kind,
        f"{message}{WILL_RETRY}",
        permanent=False,
        rejection=rejection,
        about_post=about_post,
        status_codes=frozenset(status_codes),
        status_messages=status_messages,
    )


_ROWS = (
    _permanent(
        FailureKind.GONE,
        "The post does not exist on TikTok, or it was deleted: check the link",
        status_messages=(
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
        "The post or its account is private: make it public, then set Status to Ready to Scrape",
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
        "TikTok is hiding the post (review, copyright or community rules): "
        "set Status to Ready to Scrape once it is visible",
        {10217, 10219, 10220, 10227, 10228, 10229, 10230},
        ("status_reviewing", "status_audit", "copyright"),
    ),
    _permanent(
        FailureKind.GEOFENCED,
        "TikTok does not show the post in the country of our server: "
        "use another post, or tell the operator",
        {10231},
        ("cross_border", "geo_fenc", "geofenc"),
    ),
    _permanent(
        FailureKind.AGE_WALL,
        "TikTok shows the post only to adults who are logged in: use another post",
        {10213, 10214},
        ("content_classification",),
    ),
    _permanent(
        FailureKind.BANNED_ACCOUNT,
        "The account does not exist, or TikTok banned it: use another post",
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
        "The link leads to a story, which disappears after 24 hours: paste the link of a post",
        {10235},
        ("storypost", "story_post", "is_story"),
    ),
    _permanent(
        FailureKind.NOT_A_POST,
        "The link does not lead to a TikTok post: open the post and copy its link",
    ),
    _permanent(FailureKind.DEAD_LINK, "The short link no longer works: paste the post's full link"),
    _transient(FailureKind.NETWORK, "TikTok could not be reached", about_post=False),
    _transient(
        FailureKind.SERVER_ERROR,
        "TikTok had a problem on its side",
        {10101},
        ("server_error", "internal_error"),
    ),
    _transient(FailureKind.RATE_LIMITED, "TikTok asked us to slow down", about_post=False),
    _transient(
        FailureKind.REGION_NOTICE,
        "TikTok is not available in the country of our server",
        about_post=False,
    ),
    _transient(
        FailureKind.SHIELD,
        "TikTok blocked our request",
        {10000, 10113, 10114},
        about_post=False,
    ),
    _transient(FailureKind.CHALLENGE, "TikTok asked for a CAPTCHA", about_post=False),
    _transient(
        FailureKind.LOGIN_WALL,
        "TikTok asked us to log in to see the post",
        {10102},
        ("not_login", "not_logged_in", "login_required", "need_login"),
    ),
    _transient(FailureKind.UNREADABLE, "TikTok's page could not be read"),
    _transient(FailureKind.INCOMPLETE, "TikTok's page did not contain the post"),
    _transient(
        FailureKind.UNKNOWN_STATUS,
        "TikTok did not show the post, for a reason we do not know yet",
        rejection=False,
    ),
    _transient(FailureKind.WRONG_ID, "TikTok showed a different post"),
)

FAILURES: dict[FailureKind, Failure] = {row.kind: row for row in _ROWS}
"""Every failure by its kind, in the order of the documentation."""


class PostError(Exception):
    """A post could not be read. `str()` is the message for the VA.

    `detail` is for the operator: the code, message or URL behind it, printable.
    """

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.detail = printable(detail)

    @property
    def kind(self) -> FailureKind:
        return self.failure.kind

    @property
    def message(self) -> str:
        return self.failure.message

    @property
    def about_post(self) -> bool:
        """Whether this may be the post's own fault, and so counts against it."""
        return self.failure.about_post


class PostUnavailableError(PostError):
    """The post can't be read, and trying again will not help: its unit ends."""


class PostUnreadableError(PostError):
    """The post could not be read now: its unit stays pending.

    Arguments:
        page_json: the page's data as it arrived, if the parser did not understand it.
        before_page: it failed before a page arrived (an HTTP status, a redirect to the login
            page), so it is not about the post, whatever its kind says.
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


def make_post_error(failure: Failure, detail: str) -> PostError:
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
