"""TikTok as one site: its pages behind redirects, its addresses on another base, its patience."""

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
from dagster_tiktok.tiktok.transport import Answer, Transport

log = logging.getLogger(__name__)

MAX_REDIRECTS = 5
HOME = "https://www.tiktok.com"


class Site:
    """Asks for what stands below the base address. Use it as an async context manager.

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
        """Whether the last answers were rejections, so many that a pause was due."""
        return self._breaker.rejections >= PAUSE_AFTER

    async def page(self, path: str) -> bytes:
        """The body of `answer`."""
        return (await self.answer(path)).body

    async def answer(self, path: str) -> Answer:
        """The answer at the end of at most MAX_REDIRECTS redirects within TikTok's hosts.

        Raises:
            PostUnreadableError, TikTokRejectionError: as `Transport.get`; a redirect to nowhere.
        """
        address = f"{self.base}{path}"
        for _ in range(MAX_REDIRECTS + 1):
            try:
                answer = await self.transport.get(address)
            except ForbiddenHostError as error:
                raise unreadable(FailureKind.UNREADABLE, f"redirect: {error}") from error
            if answer.location is None:
                return answer
            reject_login(answer.location)
            reject_region_notice(answer.location)
            address = self.on_base(answer.location)
        raise too_many_redirects()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Tells the breaker how the question inside was answered."""
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
                "TikTok refused %d requests in a row: nothing is asked for %.0f s",
                self._breaker.rejections,
                left,
            )

    def on_base(self, address: str) -> str:
        """The address as it is asked: TikTok's own hosts are replaced by another base address."""
        if self._is_real:
            return address
        try:
            ref = parse_url(address)
        except PostUrlError:
            return address
        if ref.short_code is not None:
            return f"{self.base}/t/{ref.short_code}/"
        return f"{self.base}{urlsplit(address).path}"

    def on_site(self, address: str) -> str:
        """The reverse: the address as TikTok itself would have named it, without its query."""
        parts = urlsplit(address)
        own = urlsplit(self.base)
        if (parts.scheme, parts.netloc) == (own.scheme, own.netloc):
            return f"{HOME}{parts.path}"
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


def reject_login(address: str) -> None:
    """Raises PostUnreadableError where a redirect leads to the login page, in whatever language."""
    if path_segments(address)[:1] in (["login"], ["signup"]):
        raise unreadable(FailureKind.LOGIN_WALL, "redirect to the login page", before_page=True)


def too_many_redirects() -> PostUnreadableError:
    return unreadable(FailureKind.UNREADABLE, f"more than {MAX_REDIRECTS} redirects")
