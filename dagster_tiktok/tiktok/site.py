"""TikTok as one site: redirects within it, its URLs below another base URL, and the breaker."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from dagster_tiktok.clock import Clock
from dagster_tiktok.net.hosts import ForbiddenHostError, HostPolicy
from dagster_tiktok.settings import Settings
from dagster_tiktok.tiktok.breaker import PAUSE_AFTER, Breaker
from dagster_tiktok.tiktok.failures import (
    FailureKind,
    PostUnavailableError,
    PostUnreadableError,
    unreadable,
)
from dagster_tiktok.tiktok.links.post_links import PostUrlError, parse_url
from dagster_tiktok.tiktok.links.short_links import path_segments, reject_region_notice
from dagster_tiktok.tiktok.transport import Response, Transport

log = logging.getLogger(__name__)

MAX_REDIRECTS = 5
HOME = "https://www.tiktok.com"


class Site:
    """Requests pages below the base URL. Use it as an async context manager.

    Arguments:
        pause_seconds: length of the pause after `breaker.PAUSE_AFTER` rejections in a row.
    """

    def __init__(self, settings: Settings, pause_seconds: float, clock: Clock) -> None:
        self.base = settings.tiktok_base_url
        self._is_real = bool(HostPolicy.for_base_url(self.base, "tiktok.com").suffixes)
        self._breaker = Breaker(pause_seconds, clock.now)
        self.transport = Transport(settings, self._breaker, clock)

    async def __aenter__(self) -> Site:
        await self.transport.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.transport.__aexit__(*exc)

    @property
    def is_backing_off(self) -> bool:
        """Whether the latest responses were so many rejections that requests paused."""
        return self._breaker.rejections >= PAUSE_AFTER

    async def page(self, path: str) -> bytes:
        """The body of `get`."""
        return (await self.get(path)).body

    async def get(self, path: str) -> Response:
        """The response after at most MAX_REDIRECTS redirects within TikTok's hosts.

        Raises:
            PostUnreadableError: as `Transport.get`; or too many redirects, or one to another host,
                the login page or a region notice.
            TikTokRejectionError: the breaker is open.
        """
        url = f"{self.base}{path}"
        for _ in range(MAX_REDIRECTS + 1):
            try:
                response = await self.transport.get(url)
            except ForbiddenHostError as error:
                raise unreadable(FailureKind.UNREADABLE, f"redirect: {error}") from error
            if response.location is None:
                return response
            reject_login(response.location)
            reject_region_notice(response.location)
            url = self.on_base(response.location)
        raise make_redirects_error()

    @contextmanager
    def record_outcome(self) -> Iterator[None]:
        """Tells the breaker how the request inside ended."""
        try:
            yield
        except PostUnavailableError:
            self._breaker.record_response()
            raise
        except PostUnreadableError as error:
            self.record_unreadable(error)
            raise
        self._breaker.record_response()

    def record_unreadable(self, error: PostUnreadableError) -> None:
        if not error.failure.rejection:
            return
        paused = self._breaker.pause_left() > 0
        self._breaker.record_rejection()
        if not paused and (left := self._breaker.pause_left()) > 0:
            log.warning(
                "TikTok rejected %d requests in a row: no requests for %.0f s",
                self._breaker.rejections,
                left,
            )

    def on_base(self, url: str) -> str:
        """The URL to request: the base URL replaces TikTok's own hosts if it is another one."""
        if self._is_real:
            return url
        try:
            ref = parse_url(url)
        except PostUrlError:
            return url
        if ref.short_code is not None:
            return f"{self.base}/t/{ref.short_code}/"
        return f"{self.base}{urlsplit(url).path}"

    def on_site(self, url: str) -> str:
        """The reverse: the same URL on TikTok's own host, without its query."""
        parts = urlsplit(url)
        own = urlsplit(self.base)
        if (parts.scheme, parts.netloc) == (own.scheme, own.netloc):
            return f"{HOME}{parts.path}"
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


def reject_login(url: str) -> None:
    """Raises PostUnreadableError if a redirect leads to the login page, in any language."""
    if path_segments(url)[:1] in (["login"], ["signup"]):
        raise unreadable(FailureKind.LOGIN_WALL, "redirect to the login page", before_page=True)


def make_redirects_error() -> PostUnreadableError:
    return unreadable(FailureKind.UNREADABLE, f"more than {MAX_REDIRECTS} redirects")
