"""The one client of TikTok: short links, posts and accounts, politely."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from dagster_tiktok.clock import Clock, MonotonicClock, utc_now
from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.models import Post
from dagster_tiktok.net.hosts import ForbiddenHostError
from dagster_tiktok.settings import Settings
from dagster_tiktok.text import quoted
from dagster_tiktok.tiktok.breaker import TikTokRejectionError
from dagster_tiktok.tiktok.failures import (
    FailureKind,
    PostError,
    PostUnavailableError,
    PostUnreadableError,
    unavailable,
    unreadable,
)
from dagster_tiktok.tiktok.gallery_dl import GalleryDl, find_program, parse_output
from dagster_tiktok.tiktok.kept_pages import KeptPages
from dagster_tiktok.tiktok.links.post_links import (
    PostRef,
    canonical_url,
    is_tiktok_id,
    says_photo,
)
from dagster_tiktok.tiktok.links.short_links import parse_target
from dagster_tiktok.tiktok.pages.parse import (
    Profile,
    extract_scope,
    parse_post_page,
    parse_profile_page,
    rate_quality,
    shows_anything,
)
from dagster_tiktok.tiktok.pages.previews import parse_embed, parse_oembed
from dagster_tiktok.tiktok.shared_calls import SharedCalls
from dagster_tiktok.tiktok.site import (
    MAX_REDIRECTS,
    Site,
    reject_login,
    too_many_redirects,
)
from dagster_tiktok.tiktok.transport import Answer

__all__ = ["TikTokClient", "TikTokRejectionError"]

_REFUSED = (
    FailureKind.RATE_LIMITED,
    FailureKind.SHIELD,
    FailureKind.CHALLENGE,
    FailureKind.LOGIN_WALL,
)

log = logging.getLogger(__name__)


class TikTokClient:
    """Asks TikTok within the limits of the settings. Use it as an async context manager.

    One instance is one stage: it keeps cookies, resolved short links, followers of accounts, and
    the count of rejections. After `breaker.OPEN_AFTER` rejections in a row every call raises
    TikTokRejectionError; during the pause before that calls wait.

    Arguments:
        pause_seconds: length of the pause after `breaker.PAUSE_AFTER` rejections in a row.
        keep_unreadable_in: folder for the data of pages that were not understood, if wanted.
        now: what `scraped_at` says. Days are counted by it, so a run gives the database's time.
        clock: by which pauses and the rate limit go.

    Raises:
        ConfigurationError: TIKTOK_FALLBACK names a program that is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        pause_seconds: float = 60.0,
        keep_unreadable_in: Path | None = None,
        now: Callable[[], datetime] = utc_now,
        clock: Clock | None = None,
    ) -> None:
        self._now = now
        self._settings = settings
        self._site = Site(settings, pause_seconds, clock or MonotonicClock())
        self._kept = KeptPages(keep_unreadable_in) if keep_unreadable_in else None
        self._program = None
        if settings.tiktok_fallback == "gallery-dl":
            self._program = GalleryDl(
                find_program(),
                settings.tiktok_user_agent,
                self._site.transport.seconds_between_requests,
            )
        self._links = SharedCalls(self._follow_short_link)
        self._profiles = SharedCalls(self._profile_or_none)
        self._followers: dict[str, int] = {}

    async def __aenter__(self) -> TikTokClient:
        await self._site.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._links.close()
        await self._profiles.close()
        await self._site.__aexit__(*exc)

    @property
    def requests_made(self) -> int:
        """HTTP requests so far, with redirects and repetitions."""
        return self._site.transport.requests_made

    def cookies(self) -> dict[str, str]:
        """The session's cookies by name, as they are sent; none before the first page."""
        return self._site.transport.cookies

    @property
    def max_concurrency(self) -> int:
        """How many requests may be under way at once: more callers than that only wait."""
        return self._settings.tiktok_max_concurrency

    @property
    def is_backing_off(self) -> bool:
        """Whether the last answers were rejections, so many that a pause was due."""
        return self._site.is_backing_off

    @property
    def has_fallback(self) -> bool:
        """Whether the owner allows a separate program to be asked, see `fetch_with_fallback`."""
        return self._program is not None

    async def check(self) -> str:
        """One page, for `doctor`: whether TikTok answers this address with pages that can be read.

        Raises:
            ServiceUnavailableError: it does not, with the reason.
        """
        try:
            parse_profile_page(await self._site.page("/@tiktok"))
        except PostUnavailableError:
            pass  # that an account is not there is an answer that was read
        except PostUnreadableError as error:
            raise ServiceUnavailableError(
                f"TIKTOK_BASE_URL ({self._site.base}) gave no page that can be read "
                f"({error.kind.value}: {error.detail}): {_what_to_do(error.kind)}."
            ) from error
        program = f"; the fallback is {self._program.path}" if self._program else ""
        return f"{self._site.base} answers with pages that can be read{program}"

    async def resolve(self, ref: PostRef) -> PostRef:
        """`ref` with its id. A short link is asked for its target, which is not downloaded.

        Raises:
            PostUnavailableError: the link is dead, or leads to something that is not a post.
            PostUnreadableError: the link gave no answer.
            TikTokRejectionError: TikTok refuses this address.
        """
        if ref.tiktok_id is not None or ref.short_code is None:
            return ref
        return await self._links.get(ref.short_code)

    async def fetch_post(
        self,
        tiktok_id: str,
        *,
        is_photo: bool = False,
        user: str | None = None,
        with_followers: bool = True,
    ) -> Post:
        """The post as its page shows it now.

        Arguments:
            is_photo: whether its URL, or what is known of it, says that it shows slides: then a
                page with neither slides nor a film is incomplete.
            user: the account as the post's URL names it, if it does: only that account's being
                private, banned or absent says anything of the post.
            with_followers: ask for the account's profile too if the page lacks its followers.

        Raises:
            PostUnavailableError: the post can't be seen, for good.
            PostUnreadableError: it could not be read now.
            TikTokRejectionError: TikTok refuses this address.
        """
        if not is_tiktok_id(tiktok_id):
            raise unavailable(FailureKind.NOT_A_POST, f"not an id: {quoted(tiktok_id)}")
        try:
            with self._site.noted():
                # `/photo/` pages often lack the post; the user's name in the path is not checked.
                page = await self._site.page(f"/@_/video/{tiktok_id}")
                post = parse_post_page(
                    page,
                    expected_id=tiktok_id,
                    scraped_at=self._now(),
                    is_photo=is_photo,
                    user=user,
                )
        except PostUnreadableError as error:
            if self._kept and error.page_json:
                self._kept.keep(f"{tiktok_id}-{error.kind.value}", error.page_json)
            raise
        return await self._with_followers(post, may_request=with_followers)

    async def fetch_preview(
        self, tiktok_id: str, *, user: str | None = None, is_photo: bool = False
    ) -> Post:
        """The post's existence, caption and account from what other sites embed; never a figure.

        oEmbed is asked first; the embed page only if that answer can't be used.

        Arguments:
            user: the account as the post's address names it, if it does.
            is_photo: as for `fetch_post`; these answers don't always say it themselves.

        Raises:
            PostUnavailableError: oEmbed says that the post is not public.
            PostUnreadableError: neither answer can be used.
            TikTokRejectionError: TikTok refuses this address.
        """
        post_url = canonical_url(tiktok_id, user, is_carousel=False)
        try:
            with self._site.noted():
                answer = await self._site.answer(f"/oembed?url={quote(post_url, safe='')}")
                return parse_oembed(
                    answer.status,
                    answer.body,
                    expected_id=tiktok_id,
                    scraped_at=self._now(),
                    is_photo=is_photo,
                )
        except PostUnreadableError as error:
            log.info("oEmbed of post %s: %s (%s)", tiktok_id, error, error.detail)
        with self._site.noted():
            page = await self._site.page(f"/embed/v2/{tiktok_id}")
            return parse_embed(
                page, expected_id=tiktok_id, scraped_at=self._now(), is_photo=is_photo
            )

    async def fetch_with_fallback(self, tiktok_id: str, *, is_photo: bool = False) -> Post:
        """The post as the separate program of TIKTOK_FALLBACK reads it.

        Its start waits for the rate limit. Its further requests are seen only when it has ended:
        nothing else should be asked meanwhile.

        Arguments:
            is_photo: as for `fetch_post`.

        Raises:
            PostUnreadableError: the program did not read it.
            TikTokRejectionError: TikTok refuses this address.
        """
        if self._program is None:
            raise ValueError("TIKTOK_FALLBACK is not set")
        await self._site.transport.permit()
        with self._site.noted():
            ended = await self._program.run(canonical_url(tiktok_id, None, is_carousel=False))
            await self._site.transport.charge(ended.requests - 1)
            return parse_output(
                ended, expected_id=tiktok_id, scraped_at=self._now(), is_photo=is_photo
            )

    async def _with_followers(self, post: Post, *, may_request: bool) -> Post:
        # Post pages round the followers and often lack them, profiles are exact: all posts of an
        # account get the first count that this client sees, so that one run does not contradict
        # itself.
        if post.account is None:
            return post
        account = post.account.lower()
        if post.followers is None and account not in self._followers and may_request:
            post = _with_profile(post, await self._profiles.get(account))
        if post.followers is not None:
            self._followers.setdefault(account, post.followers)
        known = self._followers.get(account)
        if known == post.followers:
            return post
        return _with_profile(post, Profile(post.account, known, verified=None))

    async def _profile_or_none(self, account: str) -> Profile | None:
        """The account's profile, None when it can't be read: followers are worth no post."""
        try:
            page = await self._site.page(f"/@{quote(account, safe='')}")
            profile = parse_profile_page(page)
        except PostUnreadableError as error:
            self._site.record_unreadable(error)
            log.info(
                "Followers of @%s are unknown: %s (%s)", account, error.kind.value, error.detail
            )
            return None
        except (PostError, TikTokRejectionError) as error:
            log.info("Followers of @%s are unknown: %s", account, error)
            return None
        if profile.account is None or profile.account.lower() != account:
            return None  # somebody else's followers are worse than none
        return profile

    async def _follow_short_link(self, code: str) -> PostRef:
        # One code works on vm., vt. and www., so the one address serves all three.
        address = f"{self._site.base}/t/{code}/"
        try:
            for _ in range(MAX_REDIRECTS + 1):
                target = _target(await self._site.transport.get(address))
                ref = parse_target(self._site.on_site(target))
                if ref.tiktok_id is not None:
                    return replace(
                        ref, short_code=code, is_photo=ref.is_photo or says_photo(target)
                    )
                address = self._site.on_base(target)
        except PostUnreadableError as error:
            self._site.record_unreadable(error)
            raise
        except ForbiddenHostError as error:
            # It may not be about the post: a network's sign-in page redirects as well.
            raise unreadable(FailureKind.UNKNOWN_STATUS, f"redirect: {error}") from error
        raise too_many_redirects()


def _target(answer: Answer) -> str:
    """Where a short link leads."""
    if answer.location is not None:
        reject_login(answer.location)
        return answer.location
    # The body before the status: a shield and a challenge answer whatever status they like.
    gone = answer.status in (404, 410)
    try:
        scope = extract_scope(answer.body)
    except PostUnreadableError as error:
        if gone and error.kind is FailureKind.SHIELD:
            # A dead link may look like this too: counted, so that it ends at last, and no
            # rejection, so that ten such links don't keep every other post from being asked for.
            raise unreadable(
                FailureKind.UNKNOWN_STATUS, f"HTTP {answer.status} without a page"
            ) from error
        raise
    if gone and not shows_anything(scope):
        raise unavailable(FailureKind.DEAD_LINK, f"HTTP {answer.status}")
    raise unreadable(FailureKind.UNREADABLE, "the short link showed a page instead of its target")


def _what_to_do(kind: FailureKind) -> str:
    if kind in _REFUSED:
        return "wait an hour, and lower TIKTOK_REQUESTS_PER_SECOND"
    return "check the address and the network"


def _with_profile(post: Post, profile: Profile | None) -> Post:
    if profile is None:
        return post
    verified = post.account_verified
    quality = rate_quality(post.metrics, profile.followers)
    return post.model_copy(
        update={
            "followers": profile.followers,
            "account_verified": profile.verified if verified is None else verified,
            # Followers don't bring what else was missing.
            "data_quality": "partial" if post.data_quality == "partial" else quality,
        }
    )
