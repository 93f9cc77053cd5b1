"""Adds an account's followers to its posts: one profile page for each account and run."""

from __future__ import annotations

import logging
from urllib.parse import quote

from dagster_tiktok.models import Post
from dagster_tiktok.tiktok.breaker import TikTokRejectionError
from dagster_tiktok.tiktok.failures import PostError, PostUnreadableError
from dagster_tiktok.tiktok.pages.counts import rate_quality
from dagster_tiktok.tiktok.pages.profile_page import Profile, parse_profile_page
from dagster_tiktok.tiktok.shared_calls import SharedCalls
from dagster_tiktok.tiktok.site import Site

_logger = logging.getLogger(__name__)


class FollowerCounts:
    """All posts of an account get the first count that we see, so that one run is consistent.

    Post pages round the followers and often lack them; profile pages are exact.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._profiles = SharedCalls(self._request_profile)
        self._known: dict[str, int] = {}

    async def add_to(self, post: Post, *, may_request: bool) -> Post:
        """The post with its account's followers, as far as they are known.

        Arguments:
            may_request: request the profile page if the post lacks them.
        """
        if post.account is None:
            return post
        account = post.account.lower()
        if post.followers is None and account not in self._known and may_request:
            post = _with_profile(post, await self._profiles.get(account))
        if post.followers is not None:
            self._known.setdefault(account, post.followers)
        known = self._known.get(account)
        if known == post.followers:
            return post
        return _with_profile(post, Profile(post.account, known, verified=None))

    async def close(self) -> None:
        await self._profiles.close()

    async def _request_profile(self, account: str) -> Profile | None:
        """The account's profile. None if it can't be read: that must not fail the post."""
        try:
            page = await self._site.page(f"/@{quote(account, safe='')}")
            profile = parse_profile_page(page)
        except PostUnreadableError as error:
            self._site.record_unreadable(error)
            _logger.info(
                "Followers of @%s are unknown: %s (%s)", account, error.kind.value, error.detail
            )
            return None
        except (PostError, TikTokRejectionError) as error:
            _logger.info("Followers of @%s are unknown: %s", account, error)
            return None
        if profile.account is None or profile.account.lower() != account:
            return None  # another account's followers would be worse than none
        return profile


def _with_profile(post: Post, profile: Profile | None) -> Post:
    if profile is None:
        return post
    verified = post.account_verified
    quality = rate_quality(post.metrics, profile.followers)
    return post.model_copy(
        update={
            "followers": profile.followers,
            "account_verified": profile.verified if verified is None else verified,
            # Followers don't replace what else was missing.
            "data_quality": "partial" if post.data_quality == "partial" else quality,
        }
    )
