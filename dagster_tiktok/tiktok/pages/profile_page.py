"""The profile page of an account: its exact followers, and whether it is verified."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_tiktok.tiktok.failures import FailureKind, make_post_error
from dagster_tiktok.tiktok.pages.counts import parse_followers
from dagster_tiktok.tiktok.pages.scope import USER_PART, extract_scope, make_incomplete_error
from dagster_tiktok.tiktok.pages.shapes import UserDetailShape, UserInfoShape
from dagster_tiktok.tiktok.pages.status_codes import classify_status, describe_status


@dataclass(frozen=True)
class Profile:
    """What an account's page says about it."""

    account: str | None
    followers: int | None
    verified: bool | None


def parse_profile_page(html: bytes | str) -> Profile:
    """The account that a page shows.

    Raises:
        PostUnavailableError: the account is banned, private or does not exist.
        PostUnreadableError: the page does not say.
    """
    scope = extract_scope(html)
    part = scope.get(USER_PART)
    if not isinstance(part, dict):
        raise make_incomplete_error(scope, f"no {USER_PART} in the page")
    detail = UserDetailShape.model_validate(part)
    info = detail.user_info or UserInfoShape.model_validate({})
    user, followers = info.user, parse_followers(info.stats_v2, info.stats)
    account = (user.unique_id or None) if user else None
    if detail.status_code:
        failure = classify_status(detail.status_code, detail.status_msg)
        # A private account has a status code and still shows its counts. A banned or missing one
        # shows zeros and no name.
        if failure.kind is not FailureKind.PRIVATE or account is None or followers is None:
            raise make_post_error(failure, describe_status(detail))
    return Profile(account, followers, verified=user.verified if user else None)
