from __future__ import annotations

import pytest

from dagster_tiktok.tiktok.failures import (
    FAILURES,
    FailureKind,
    PostUnavailableError,
    PostUnreadableError,
    make_post_error,
    unreadable,
)
from dagster_tiktok.tiktok.pages.status_codes import classify_status

PREFIX = "item_privacy_authorization&"


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (10204, "item doesn't exist", FailureKind.GONE),
        (10204, "item doesn\u2019t exist", FailureKind.GONE),
        (10204, PREFIX + "status_deleted", FailureKind.GONE),
        (10204, "", FailureKind.UNKNOWN_STATUS),  # some send it to blocked readers
        (10204, "some_new_reason", FailureKind.UNKNOWN_STATUS),
        (10204, PREFIX + "some_new_reason", FailureKind.UNKNOWN_STATUS),
        (10204, "cookie_not_exist", FailureKind.UNKNOWN_STATUS),
        (10204, "content_classification", FailureKind.AGE_WALL),
        (10204, " Content Classification ", FailureKind.AGE_WALL),
        (10204, "contentClassification", FailureKind.AGE_WALL),
        (10204, "author_status", FailureKind.BANNED_ACCOUNT),
        (10204, "music copyright", FailureKind.WITHHELD),
        (10235, "item is storypost", FailureKind.STORY),
        (10235, "", FailureKind.STORY),
        (10204, "Item is StoryPost", FailureKind.STORY),
        # joined: the part that is final wins, wherever it stands
        (10204, "some_new_reason&status_deleted", FailureKind.GONE),
        (10204, "status_deleted,some_new_reason", FailureKind.GONE),
        (10204, "server_error&some_new_reason&status_self_see", FailureKind.PRIVATE),
        (10204, "content_classification&status_deleted", FailureKind.GONE),
        (10204, "not_login&some_new_reason", FailureKind.LOGIN_WALL),
        (10216, "some_new_reason", FailureKind.PRIVATE),  # this code has one meaning
        (10204, PREFIX + "status_self_see", FailureKind.PRIVATE),
        (10204, PREFIX + "STATUS_REVIEWING", FailureKind.WITHHELD),
        (10204, "status_audit_not_pass", FailureKind.WITHHELD),
        (10204, "cross_border_violation_ur", FailureKind.GEOFENCED),
        (10204, PREFIX + "person_geo_fencing", FailureKind.GEOFENCED),
        (10101, PREFIX + "status_deleted", FailureKind.GONE),
        (10202, "user not exist", FailureKind.BANNED_ACCOUNT),
        (10204, "user_banned", FailureKind.BANNED_ACCOUNT),
        (10204, "item is private", FailureKind.PRIVATE),
        (10216, "", FailureKind.PRIVATE),
        (10222, "", FailureKind.PRIVATE),
        (10202, "", FailureKind.BANNED_ACCOUNT),
        (10221, "", FailureKind.BANNED_ACCOUNT),
        (10213, "", FailureKind.AGE_WALL),
        (10214, "", FailureKind.AGE_WALL),
        (10217, "", FailureKind.WITHHELD),
        (10219, "", FailureKind.WITHHELD),
        (10220, "", FailureKind.WITHHELD),
        (10227, "", FailureKind.WITHHELD),
        (10230, "", FailureKind.WITHHELD),
        (10231, "", FailureKind.GEOFENCED),
        (10000, "", FailureKind.SHIELD),
        (10113, "", FailureKind.SHIELD),
        (10114, "", FailureKind.SHIELD),
        (10101, "", FailureKind.SERVER_ERROR),
        (10102, "", FailureKind.LOGIN_WALL),
        (99999, "something new", FailureKind.UNKNOWN_STATUS),
        # A code that may pass: only what states a fact, as a whole, is final.
        (10101, "get author_status rpc timeout", FailureKind.SERVER_ERROR),
        (10101, "author_status", FailureKind.SERVER_ERROR),
        (10101, "cross_border rpc failed", FailureKind.SERVER_ERROR),
        (10101, "server busy, status_audit unavailable", FailureKind.SERVER_ERROR),
        (10101, "check of status_deleted", FailureKind.SERVER_ERROR),
        (10101, "item doesn't exist", FailureKind.GONE),
        (10113, "content_classification service timeout", FailureKind.SHIELD),
        (10113, "content_classification", FailureKind.SHIELD),
        (10000, "is_private unknown", FailureKind.SHIELD),
        (10102, "friend_see requires login", FailureKind.LOGIN_WALL),
        # A server that could not find out: nothing is final, whatever the code.
        (10204, "item_not_exist_or_timeout", FailureKind.UNKNOWN_STATUS),
        (10204, "get author_status failed", FailureKind.UNKNOWN_STATUS),
        (10204, "GetAuthorStatusTimeout", FailureKind.UNKNOWN_STATUS),
        (10204, "copyright service unavailable", FailureKind.UNKNOWN_STATUS),
        (10204, "content_classification error", FailureKind.UNKNOWN_STATUS),
        (10204, "status_deleted: unknown", FailureKind.UNKNOWN_STATUS),
        (10204, "cross_border: please retry", FailureKind.UNKNOWN_STATUS),
        (10204, "status_audit busy", FailureKind.UNKNOWN_STATUS),
        (10204, "user_not_exist rate limit", FailureKind.UNKNOWN_STATUS),
        (10204, "author_status internal", FailureKind.UNKNOWN_STATUS),
        (10204, "is_private rpc", FailureKind.UNKNOWN_STATUS),
        (10204, "is_private: false", FailureKind.UNKNOWN_STATUS),
        (10204, "author_secret=0", FailureKind.UNKNOWN_STATUS),
        (0, "copyright_check_timeout", FailureKind.UNKNOWN_STATUS),
        (10216, "rpc timeout", FailureKind.UNKNOWN_STATUS),
        (10221, "get user failed", FailureKind.UNKNOWN_STATUS),
        (10235, "is_story timed out", FailureKind.UNKNOWN_STATUS),
        (10222, "internal_error", FailureKind.SERVER_ERROR),
        # Beside it another part may be final.
        (10204, "copyright_check_timeout&status_deleted", FailureKind.GONE),
        (10101, "get author_status rpc timeout&status_self_see", FailureKind.PRIVATE),
        # Not the words: parts of longer ones.
        (10204, "status_audit terrorism", FailureKind.WITHHELD),
    ],
)
def test_status_message_wins_over_the_status_code(
    code: int, message: str, kind: FailureKind
) -> None:
    assert classify_status(code, message).kind is kind


def test_each_failure_kind_has_one_row_and_a_message_for_a_va() -> None:
    assert set(FAILURES) == set(FailureKind)
    for failure in FAILURES.values():
        assert 20 < len(failure.message) < 160
        assert not (failure.permanent and failure.rejection)
        assert failure.permanent or "we will try again" in failure.message
        assert ": " in failure.message or not failure.permanent, "what to do next"


def test_permanence_decides_the_exception() -> None:
    gone = make_post_error(FAILURES[FailureKind.GONE], "statusCode 10204")
    shield = make_post_error(FAILURES[FailureKind.SHIELD], "statusCode 10000")
    assert isinstance(gone, PostUnavailableError)
    assert isinstance(shield, PostUnreadableError)
    assert str(gone) == gone.message
    assert gone.message.startswith("The post does not exist on TikTok, or it was deleted")
    assert (gone.kind, gone.detail) == (FailureKind.GONE, "statusCode 10204")


def test_failures_that_do_not_count_against_the_post() -> None:
    ours = {kind for kind, failure in FAILURES.items() if not failure.about_post}
    assert ours == {
        FailureKind.NETWORK,
        FailureKind.RATE_LIMITED,
        FailureKind.REGION_NOTICE,
        FailureKind.SHIELD,
        FailureKind.CHALLENGE,
    }


def test_login_wall_before_the_page_is_not_about_the_post() -> None:
    assert unreadable(FailureKind.LOGIN_WALL).about_post
    assert not unreadable(FailureKind.LOGIN_WALL, before_page=True).about_post
    assert not unreadable(FailureKind.CHALLENGE).about_post


def test_detail_is_printable() -> None:
    assert unreadable(FailureKind.NETWORK, "a\x1b[31m\u202eb").detail == "a [31m b"
