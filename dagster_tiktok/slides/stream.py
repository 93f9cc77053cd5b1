"""One request for one slide: its headers, the responses that we accept, and where bytes go."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from dagster_tiktok.net.hosts import ForbiddenHostError, HostPolicy, PublicResolver
from dagster_tiktok.net.rate_limit import ConnectionLostError, RateLimit, without_silent_retries
from dagster_tiktok.net.retry import is_transient_status, parse_retry_after
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.cache.cache import SlideCache
from dagster_tiktok.slides.cache.entry import CacheEntry
from dagster_tiktok.slides.failures import (
    FailureKind,
    SlideError,
    SlideUrlExpiredError,
    slide_error,
)
from dagster_tiktok.slides.mirrors import url_host

_REFERER = "https://www.tiktok.com/"
_ACCEPT = "image/avif,image/webp,image/jpeg,image/png,image/*;q=0.8"
_MAX_REDIRECTS = 5
_SLOW_SECONDS = 0.25
"""A download that takes longer can be resumed after a kill; a shorter one starts again."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READ_BUFFER_BYTES = 128 * 1024
# RFC 3986: a request line allows nothing else, and nothing else can be stored as text.
_URL = re.compile(r"[!-~]+\Z")
# RFC 9110, 8.8.3, without bytes that are not text.
_STRONG_ETAG = re.compile(r'"[!#-~]{1,200}"\Z')
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)\Z")


Cookies = Callable[[], Mapping[str, str]]
"""The page session's cookies, name to value."""


@dataclass(frozen=True)
class Timeouts:
    """In seconds: to connect, between two chunks, for one whole request, and for one slide.

    `slide` includes waits for the rate limit and for retries.
    """

    connect: float = 10.0
    idle: float = 20.0
    total: float = 180.0
    slide: float = 900.0


@dataclass(frozen=True)
class FailedRequest:
    """A request that did not deliver the slide. `received` is in bytes."""

    host: str
    kind: FailureKind
    received: int


@dataclass
class Transfer:
    """The cost of all attempts for one slide."""

    received: int = 0
    resumed: bool = False
    failed: list[FailedRequest] = field(default_factory=list)

    @property
    def unaccounted(self) -> int:
        """Bytes that no failed request received."""
        return self.received - sum(failed.received for failed in self.failed)

    def count_failed(self, mirror: str, error: SlideError) -> None:
        """The newest request did not deliver the slide."""
        self.failed.append(FailedRequest(url_host(mirror), error.kind, self.unaccounted))


class SlideStream:
    """Streams bodies into the cache, from allowed hosts and within the size cap only.

    Arguments:
        cookies: sent with every request; the CDN may require those of the page's session.
    """

    def __init__(
        self,
        settings: Settings,
        cache: SlideCache,
        timeouts: Timeouts,
        cookies: Cookies | None = None,
    ) -> None:
        self._cookies = cookies
        self._limit = RateLimit(settings.slide_requests_per_second, service="the CDN of slides")
        self._cache = cache
        self._max_bytes = settings.slide_max_mb * 1024 * 1024
        self._policy = HostPolicy.from_entries(settings.slide_allowed_hosts)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=PublicResolver(self._policy),
                limit=2 * settings.slide_max_concurrent_downloads,
            ),
            timeout=aiohttp.ClientTimeout(
                total=timeouts.total, sock_connect=timeouts.connect, sock_read=timeouts.idle
            ),
            headers={
                "User-Agent": settings.tiktok_user_agent,
                "Referer": _REFERER,
                "Accept": _ACCEPT,
                # The size cap counts what is written, so nothing may be decompressed.
                "Accept-Encoding": "identity",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_BUFFER_BYTES,
            auto_decompress=False,
            middlewares=(without_silent_retries,),
        )

    async def close(self) -> None:
        await self._session.close()

    async def turn(self) -> None:
        """Waits for the rate limit. `receive` itself waits before each redirect."""
        await self._limit.wait()

    async def receive(self, mirror: str, entry: CacheEntry, transfer: Transfer) -> None:
        """Writes the body, resuming the part file if the server allows it.

        What arrived before a failure stays in the part file for the next attempt.
        """
        etag = entry.etag if entry.size else None
        headers = {"Range": f"bytes={entry.size}-", "If-Range": etag} if etag else {}
        try:
            async with self._get(mirror, headers) as response:
                _check_status(response, entry, resuming=bool(etag))
                await self._write(response, entry, transfer)
        except asyncio.TimeoutError:
            raise slide_error("network", f"{url_host(mirror)} timed out") from None
        except aiohttp.ClientPayloadError:
            raise slide_error(
                "truncated", f"{url_host(mirror)} stopped at {entry.size} bytes"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise slide_error("network", f"{url_host(mirror)}: {_reason(error)}") from error

    @asynccontextmanager
    async def _get(
        self, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Follows redirects itself, so that every hop is checked against the allowed hosts."""
        if self._cookies and (cookies := self._cookies()):
            pairs = (f"{name}={value}" for name, value in cookies.items())
            headers = {**headers, "Cookie": "; ".join(pairs)}
        for hop in range(_MAX_REDIRECTS + 1):
            url = self._allowed(target)
            if hop:
                await self.turn()
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location:
                    yield response
                    return
            try:
                target = str(url.join(URL(location, encoded=True)))
            except ValueError:
                raise slide_error("forbidden_host", "the redirect's URL is malformed") from None
        raise slide_error("unexpected_status", f"more than {_MAX_REDIRECTS} redirects")

    def _allowed(self, url: str) -> URL:
        if not _URL.match(url):
            raise slide_error("forbidden_host", "the URL is malformed")
        try:
            return self._policy.check(url)
        except ForbiddenHostError as error:
            raise slide_error("forbidden_host", str(error)) from None

    async def _write(
        self, response: aiohttp.ClientResponse, entry: CacheEntry, transfer: Transfer
    ) -> None:
        length = response.content_length
        if response.status == 206:
            transfer.resumed = True
        else:
            entry.restart(_strong_etag(response.headers), length)
        if length is None:
            limit = min(self._max_bytes, self._cache.max_bytes)
        else:
            limit = entry.size + length
        if limit > self._max_bytes:
            entry.discard()
            raise slide_error("too_large", f"{limit} bytes, {self._max_bytes} are allowed")
        if entry.length is not None and limit > entry.length:
            entry.discard()
            raise slide_error("server_error", f"{limit} bytes instead of {entry.length}")
        await self._cache.reserve(entry, limit)
        loop = asyncio.get_running_loop()
        slow = loop.call_later(_SLOW_SECONDS, entry.keep_origin)
        try:
            async for chunk in response.content.iter_any():
                transfer.received += len(chunk)
                if entry.size + len(chunk) > limit:
                    entry.discard()
                    raise slide_error("too_large", f"more than {limit} bytes")
                entry.write(chunk)
        finally:
            slow.cancel()
        if entry.length is not None and entry.size < entry.length:
            # A server may return less than the requested range. The rest can be resumed.
            raise slide_error("truncated", f"{entry.size} of {entry.length} bytes")


def _reason(error: BaseException) -> str:
    return type(error.__cause__ if isinstance(error, ConnectionLostError) else error).__name__


def _strong_etag(headers: Mapping[str, str]) -> str | None:
    # Only a strong validator guarantees identical bytes (RFC 9110, 13.1.5).
    etag = headers.get("ETag", "")
    return etag if _STRONG_ETAG.match(etag) else None


def _check_status(response: aiohttp.ClientResponse, entry: CacheEntry, *, resuming: bool) -> None:
    """Returns if the response has a usable body; else raises the SlideError for its status."""
    status, host = response.status, response.url.host
    if status == 200:
        return
    if status == 206 and resuming:
        content_range = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if (
            content_range
            and int(content_range[1]) == entry.size
            and (entry.length is None or content_range[3] in ("*", str(entry.length)))
        ):
            return
        entry.discard()
        raise slide_error("server_error", f"{host} returned a range that was not requested")
    detail = f"{host} returned {status}"
    if status == 416 and resuming:
        entry.discard()
        raise slide_error("truncated", detail)
    if status in (401, 403):
        raise SlideUrlExpiredError(detail)
    if status in (404, 410):
        raise slide_error("not_found", detail)
    if status == 429:
        raise slide_error("rate_limited", detail, retry_after=parse_retry_after(response.headers))
    if is_transient_status(status):
        raise slide_error("server_error", detail, retry_after=parse_retry_after(response.headers))
    raise slide_error("unexpected_status", detail)
