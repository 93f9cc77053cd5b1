"""Why a post's page can hold no post: TikTok's status codes and messages, by a name of ours.

TikTok responds with HTTP 200 in every case. Code 10204 is a catch-all that only its message
explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PageShape = Literal["no_item", "empty_item", "classified", "login_wall"]


@dataclass(frozen=True)
class PostStatus:
    """One row of the table.

    `shape` is what the page holds: no `itemInfo`, an empty one, or (with code 0) an item that is
    stripped of its media (`classified`, the age wall) or of its time and counts (`login_wall`).
    `transient`: the same post may be readable in a moment.
    """

    name: str
    code: int
    message: str
    shape: PageShape = "no_item"
    transient: bool = False


_PRIVACY = "item_privacy_authorization&"
_TABLE = (
    PostStatus("deleted", 10204, _PRIVACY + "status_deleted"),
    PostStatus("private", 10216, ""),
    PostStatus("geofenced", 10231, ""),
    PostStatus("item_doesnt_exist", 10204, "item doesn't exist", "empty_item"),
    PostStatus("private_account", 10222, ""),
    PostStatus("banned_account", 10221, ""),
    PostStatus("absent_account", 10202, ""),
    PostStatus("age_wall", 10213, ""),
    PostStatus("age_wall_region", 10214, ""),
    PostStatus("age_classified", 0, "", "classified"),
    PostStatus("self_see", 10204, _PRIVACY + "status_self_see"),
    PostStatus("reviewing", 10204, "status_reviewing"),
    PostStatus("audit_not_pass", 10204, "status_audit_not_pass"),
    PostStatus("cross_border", 10204, "cross_border_violation_ur"),
    PostStatus("person_geo_fencing", 10204, "person_geo_fencing"),
    PostStatus("content_classification", 10204, "content_classification"),
    PostStatus("author_status", 10204, _PRIVACY + "author_status"),
    PostStatus("story", 10235, "item is storypost"),
    PostStatus("new_reason", 10204, "some_new_reason"),
    PostStatus("withheld_review", 10217, ""),
    PostStatus("copyright", 10219, ""),
    PostStatus("withheld", 10220, ""),
    PostStatus("risk_10227", 10227, ""),
    PostStatus("risk_10228", 10228, ""),
    PostStatus("risk_10229", 10229, ""),
    PostStatus("risk_10230", 10230, ""),
    PostStatus("not_logged_in", 10102, ""),
    PostStatus("login_wall", 0, "", "login_wall"),
    PostStatus("verification", 10000, "", transient=True),
    PostStatus("bot_shield_10113", 10113, "", transient=True),
    PostStatus("bot_shield_10114", 10114, "", transient=True),
    PostStatus("server_error", 10101, "", transient=True),
)

STATUSES: dict[str, PostStatus] = {status.name: status for status in _TABLE}

LASTING_STATUSES: tuple[str, ...] = tuple(s.name for s in _TABLE if not s.transient)
"""Permanent states of a post; the transient ones are faults."""

EMBEDDED_STATUSES: frozenset[str] = frozenset({"available", "not_logged_in", "login_wall"})
"""Names of what other sites may show: a wall hides the page from who is not signed in, no more."""

ACCOUNT_STATUSES: frozenset[str] = frozenset(
    {"private_account", "banned_account", "absent_account"}
)
"""Names of what the whole account is, so that its profile has the same code."""
