"""HTTP requests to TikTok, with the rate limit, retries and a maximum size.

Redirects are returned, not followed: the caller decides on each.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from dataclasses import dataclass

import aiohttp
from aiohttp import ClientResponse
from yarl import URL

from dagster_tiktok.clock import Clock
from dagster_tiktok.net.hosts import ForbiddenHostError, HostPolicy, PublicResolver
from dagster_tiktok.net.rate_limit import ConnectionLostError, RateLimit, without_silent_retries
from dagster_tiktok.net.retry import (
    TransientError,
    async_retrying,
    is_transient_status,
    parse_retry_after,
)
from dagster_tiktok.redaction import told
from dagster_tiktok.settings import Settings
from dagster_tiktok.tiktok.breaker import Breaker, TikTokRejectionError
from dagster_tiktok.tiktok.failures import FailureKind, unreadable

MAX_PAGE_BYTES = 5 * 1024 * 1024
"""Real pages have 250 to 400 KB."""

_ATTEMPTS = 5
_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10, sock_read=15)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READ_BYTES = 256 * 1024
_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.9",
}


class _TransientResponseError(TransientError):
    def __init__(self, kind: FailureKind, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.kind = kind


@dataclass(frozen=True)
class Response:
    """An HTTP response. `location` is the absolute target of a redirect, whose body is not read."""

    status: int
    location: str | None
    body: bytes


class Transport:
    """One aiohttp session with one rate limit. Use it as an async context manager."""

    def __init__(self, settings: Settings, breaker: Breaker, clock: Clock) -> None:
        self._settings = settings
        self._breaker = breaker
        self._clock = clock
        self._policy = HostPolicy.for_base_url(settings.tiktok_base_url, "tiktok.com")
        self._limit = RateLimit(
            settings.tiktok_requests_per_second, clock, service=settings.tiktok_base_url
        )
        self._slots = asyncio.Semaphore(settings.tiktok_max_concurrency)
        self.requests_made = 0

    async def __aenter__(self) -> Transport:
        self._resolver = PublicResolver(self._policy)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver, limit=self._settings.tiktok_max_concurrency
            ),
            # unsafe: also keep cookies of hosts that are IP addresses, such as the sandbox.
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            headers={**_HEADERS, "User-Agent": self._settings.tiktok_user_agent},
            timeout=_TIMEOUT,
            read_bufsize=_READ_BYTES,
            middlewares=(without_silent_retries,),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()
        await self._resolver.close()

    async def get(self, url: str) -> Response:
        """The response to a GET, after retries of transient errors.

        Raises:
            ForbiddenHostError: the URL is not TikTok's, and nothing was requested; or it is a
                redirect to an invalid URL.
            PostUnreadableError: network, server_error, rate_limited after all retries; shield and
                login_wall (403, 401) at once, because we don't retry rejections.
            TikTokRejectionError: the breaker is open.
        """
        checked = self._policy.check(url)
        try:
            return await async_retrying(_ATTEMPTS)(self._once, checked)
        except _TransientResponseError as error:
            raise unreadable(error.kind, str(error), before_page=True) from error

    @property
    def cookies(self) -> dict[str, str]:
        """The site's own cookies by name, as they are sent."""
        jar = self._session.cookie_jar.filter_cookies(URL(self._settings.tiktok_base_url))
        return {name: cookie.coded_value for name, cookie in jar.items()}

    @property
    def seconds_between_requests(self) -> float:
        return self._limit.interval

    async def acquire(self) -> None:
        """Waits until another program may send one request, and counts it.

        Raises:
            TikTokRejectionError: the breaker is open.
        """
        await self._wait_for_turn()
        self.requests_made += 1

    async def charge(self, requests: int) -> None:
        """Counts requests that another program has sent, and waits as long as they would have."""
        for _ in range(requests):
            self.requests_made += 1
            await self._limit.wait()

    async def _once(self, url: URL) -> Response:
        async with self._slots:
            await self._wait_for_turn()
            self.requests_made += 1
            try:
                async with self._session.get(url, allow_redirects=False) as response:
                    return await _parse_response(response)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                raise _TransientResponseError(
                    FailureKind.NETWORK, _describe_error(error)
                ) from error

    async def _wait_for_turn(self) -> None:
        """Returns when a request may begin."""
        while True:
            if self._breaker.is_open:
                raise TikTokRejectionError(
                    f"TikTok rejected {self._breaker.rejections} requests in a row, so this run "
                    "sends no more; run again later, with a lower "
                    "TIKTOK_REQUESTS_PER_SECOND if it happens again"
                )
            if (left := self._breaker.pause_left()) > 0:
                await self._clock.sleep(left)
                continue
            await self._limit.wait()
            # Other requests may have been rejected while this one waited.
            if not self._breaker.is_open and self._breaker.pause_left() == 0:
                return


async def _parse_response(response: ClientResponse) -> Response:
    status, where = response.status, response.url.raw_path
    if status == 429:
        raise _TransientResponseError(
            FailureKind.RATE_LIMITED, f"{where}: HTTP 429", parse_retry_after(response.headers)
        )
    if is_transient_status(status):
        raise _TransientResponseError(
            FailureKind.SERVER_ERROR,
            f"{where}: HTTP {status}",
            parse_retry_after(response.headers),
        )
    if status in (401, 403):
        kind = FailureKind.LOGIN_WALL if status == 401 else FailureKind.SHIELD
        raise unreadable(kind, f"{where}: HTTP {status}", before_page=True)
    if status in _REDIRECTS and (location := response.headers.get("Location")):
        return Response(status, _absolute(response, location), b"")
    return Response(status, None, await _read_body(response))


def _absolute(response: ClientResponse, location: str) -> str:
    try:
        return str(response.url.join(URL(location)))
    except ValueError:
        raise ForbiddenHostError("the URL is invalid") from None


def _describe_error(error: BaseException) -> str:
    """Why there was no response, for the operator."""
    if isinstance(error, ConnectionLostError) and error.__cause__ is not None:
        return _describe_error(error.__cause__)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        unknown = isinstance(error.os_error, socket.gaierror)
        return "the host name is unknown" if unknown else str(error.os_error)
    if isinstance(error, aiohttp.ClientSSLError):
        return "no secure connection"
    if isinstance(error, asyncio.TimeoutError):
        return "no response in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection ended without a response"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the response was truncated"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = cause.errno if isinstance(cause, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number).lower()
    return f"{type(error).__name__}: {told(str(error))}"


async def _read_body(response: ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_PAGE_BYTES:
            response.close()
            detail = f"{response.url.raw_path}: more than {MAX_PAGE_BYTES} bytes"
            raise unreadable(FailureKind.UNREADABLE, detail)
    return b"".join(chunks)
