"""The client of TikTok: posts, short links and followers, within the limits of the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from dagster_tiktok.clock import Clock, MonotonicClock, utc_now
from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.models import Post
from dagster_tiktok.settings import Settings
from dagster_tiktok.text import quoted
from dagster_tiktok.tiktok.breaker import TikTokRejectionError
from dagster_tiktok.tiktok.failures import (
    FailureKind,
    PostUnavailableError,
    PostUnreadableError,
    unavailable,
)
from dagster_tiktok.tiktok.followers import FollowerCounts
from dagster_tiktok.tiktok.gallery_dl import GalleryDl, find_program, parse_output
from dagster_tiktok.tiktok.kept_pages import KeptPages
from dagster_tiktok.tiktok.links.post_links import PostRef, canonical_url, is_tiktok_id
from dagster_tiktok.tiktok.pages.post_page import parse_post_page
from dagster_tiktok.tiktok.pages.previews import parse_embed, parse_oembed
from dagster_tiktok.tiktok.pages.profile_page import parse_profile_page
from dagster_tiktok.tiktok.short_links import ShortLinkResolver
from dagster_tiktok.tiktok.site import Site

__all__ = ["TikTokClient", "TikTokRejectionError"]

_REJECTIONS = (
    FailureKind.RATE_LIMITED,
    FailureKind.SHIELD,
    FailureKind.CHALLENGE,
    FailureKind.LOGIN_WALL,
)

log = logging.getLogger(__name__)


class TikTokClient:
    """Requests posts within the limits of the settings. Use it as an async context manager.

    Each stage has its own instance, which keeps cookies, resolved short links, followers, and the
    count of rejections. After `breaker.OPEN_AFTER` rejections in a row every call raises
    TikTokRejectionError; during the pause before that, calls wait.

    Arguments:
        pause_seconds: length of the pause after `breaker.PAUSE_AFTER` rejections in a row.
        keep_unreadable_in: folder for the data of pages that we could not parse, if any.
        now: gives `scraped_at`. Days are counted by it, so a run passes the database's time.
        clock: for pauses and the rate limit.

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
        self._short_links = ShortLinkResolver(self._site)
        self._followers = FollowerCounts(self._site)

    async def __aenter__(self) -> TikTokClient:
        await self._site.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._short_links.close()
        await self._followers.close()
        await self._site.__aexit__(*exc)

    @property
    def requests_made(self) -> int:
        """HTTP requests so far, including redirects and retries."""
        return self._site.transport.requests_made

    def cookies(self) -> dict[str, str]:
        """The session's cookies by name; none before the first page."""
        return self._site.transport.cookies

    @property
    def max_concurrency(self) -> int:
        """How many requests may run at once; more callers than that wait."""
        return self._settings.tiktok_max_concurrency

    @property
    def is_backing_off(self) -> bool:
        """Whether the latest responses were so many rejections that requests paused."""
        return self._site.is_backing_off

    @property
    def has_fallback(self) -> bool:
        """Whether TIKTOK_FALLBACK is set, see `fetch_with_fallback`."""
        return self._program is not None

    async def check(self) -> str:
        """Requests one page, for `doctor`: does TikTok send us pages that we can read?

        Raises:
            ServiceUnavailableError: it does not, and why.
        """
        try:
            parse_profile_page(await self._site.page("/@tiktok"))
        except PostUnavailableError:
            pass  # we could read that the account does not exist
        except PostUnreadableError as error:
            raise ServiceUnavailableError(
                f"TIKTOK_BASE_URL ({self._site.base}) sent no page that we can read "
                f"({error.kind.value}: {error.detail}): {_what_to_do(error.kind)}."
            ) from error
        program = f"; the fallback is {self._program.path}" if self._program else ""
        return f"{self._site.base} sends pages that we can read{program}"

    async def resolve(self, ref: PostRef) -> PostRef:
        """`ref` with its id. A short link is requested, but not what it leads to.

        Raises:
            PostUnavailableError: the link is dead, or leads to something that is not a post.
            PostUnreadableError: TikTok did not say where the link leads.
            TikTokRejectionError: the breaker is open.
        """
        if ref.tiktok_id is not None or ref.short_code is None:
            return ref
        return await self._short_links.resolve(ref.short_code)

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
            is_photo: whether its URL or an earlier scrape says that it has slides: then a page
                with neither slides nor a film is incomplete.
            user: the account in the post's URL, if there is one: if TikTok shows an account in
                place of the post, only this account's status says anything about the post.
            with_followers: request the account's profile too if the page lacks its followers.

        Raises:
            PostUnavailableError: the post can't be seen, and trying again will not help.
            PostUnreadableError: it could not be read now.
            TikTokRejectionError: the breaker is open.
        """
        if not is_tiktok_id(tiktok_id):
            raise unavailable(FailureKind.NOT_A_POST, f"not an id: {quoted(tiktok_id)}")
        try:
            with self._site.record_outcome():
                # `/photo/` pages often lack the post. TikTok ignores the user name in the path.
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
        return await self._followers.add_to(post, may_request=with_followers)

    async def fetch_preview(
        self, tiktok_id: str, *, user: str | None = None, is_photo: bool = False
    ) -> Post:
        """The post's caption and account from oEmbed or the embed page, without any metrics.

        Requests the embed page only if oEmbed's response can't be used.

        Arguments:
            user: the account in the post's URL, if there is one.
            is_photo: as for `fetch_post`; these responses don't always say it themselves.

        Raises:
            PostUnavailableError: oEmbed says that the post is not public.
            PostUnreadableError: neither response can be used.
            TikTokRejectionError: the breaker is open.
        """
        post_url = canonical_url(tiktok_id, user, is_carousel=False)
        try:
            with self._site.record_outcome():
                response = await self._site.get(f"/oembed?url={quote(post_url, safe='')}")
                return parse_oembed(
                    response.status,
                    response.body,
                    expected_id=tiktok_id,
                    scraped_at=self._now(),
                    is_photo=is_photo,
                )
        except PostUnreadableError as error:
            log.info("oEmbed of post %s: %s (%s)", tiktok_id, error, error.detail)
        with self._site.record_outcome():
            page = await self._site.page(f"/embed/v2/{tiktok_id}")
            return parse_embed(
                page, expected_id=tiktok_id, scraped_at=self._now(), is_photo=is_photo
            )

    async def fetch_with_fallback(self, tiktok_id: str, *, is_photo: bool = False) -> Post:
        """The post as the program of TIKTOK_FALLBACK reads it.

        Its start waits for the rate limit. We see how many requests it made only when it has
        ended, so send no others meanwhile.

        Arguments:
            is_photo: as for `fetch_post`.

        Raises:
            PostUnreadableError: the program could not read it.
            TikTokRejectionError: the breaker is open.
        """
        if self._program is None:
            raise ValueError("TIKTOK_FALLBACK is not set")
        await self._site.transport.acquire()
        with self._site.record_outcome():
            ended = await self._program.run(canonical_url(tiktok_id, None, is_carousel=False))
            await self._site.transport.charge(ended.requests - 1)
            return parse_output(
                ended, expected_id=tiktok_id, scraped_at=self._now(), is_photo=is_photo
            )


def _what_to_do(kind: FailureKind) -> str:
    if kind in _REJECTIONS:
        return "wait an hour, and lower TIKTOK_REQUESTS_PER_SECOND"
    return "check the URL and the network"
