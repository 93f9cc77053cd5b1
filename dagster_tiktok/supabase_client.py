"""The one way to Supabase: supabase-py over an HTTP client that retries, with timeouts.

Every request that this project sends may be sent twice: the functions of the database are
idempotent, and objects are stored under the hash of their content. So retries live in the
transport, below supabase-py, which retries only reads.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from dagster_tiktok.errors import ServiceUnavailable, Unreachable
from dagster_tiktok.retry import (
    RETRIED_STATUSES,
    TransientError,
    async_retrying,
    retry_after_seconds,
)
from dagster_tiktok.settings import Settings

TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class RetryingTransport(httpx.AsyncBaseTransport):
    """Sends a request again after a network error or a status of `RETRIED_STATUSES`.

    Raises:
        ServiceUnavailable: when the last attempt failed too (Unreachable: to connect).
    """

    def __init__(self, *, attempts: int = 4, max_connections: int = 16) -> None:
        # HTTP/2 is off: such connections die after a number of streams.
        self._inner = httpx.AsyncHTTPTransport(
            http2=False, limits=httpx.Limits(max_connections=max_connections)
        )
        self._attempts = attempts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # A body that is held in memory can be sent again. A form reads its file again by itself,
        # so that the largest slides under way need no memory.
        if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
            await request.aread()
        try:
            async for attempt in async_retrying(self._attempts):
                with attempt:
                    return await self._send(request)
        except TransientError as error:
            origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
            unreachable = isinstance(error.__cause__, httpx.ConnectError)
            kind = Unreachable if unreachable else ServiceUnavailable
            raise kind(f"Supabase ({origin}) {error}") from error
        raise AssertionError("tenacity ends by returning or raising")

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.ConnectError as error:
            raise TransientError("cannot be reached") from error
        except httpx.TransportError as error:
            # Without its cause: httpx quotes header values, and one of them is the key.
            raise TransientError(f"did not answer ({type(error).__name__})") from None
        if response.status_code in RETRIED_STATUSES:
            body = await response.aread()
            await response.aclose()
            raise TransientError(
                f"answered {response.status_code}: {_message(body)}",
                retry_after=retry_after_seconds(response.headers),
            )
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _message(body: bytes) -> str:
    """What the answer says of itself: Supabase's errors are JSON with a message."""
    try:
        said = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return "no message"
    return str(said)[:300]


@asynccontextmanager
async def open_supabase(settings: Settings, *, attempts: int = 4) -> AsyncIterator[AsyncClient]:
    """A client of the project's Supabase, closed on exit."""
    async with httpx.AsyncClient(
        transport=RetryingTransport(attempts=attempts), timeout=TIMEOUT, follow_redirects=False
    ) as http:
        yield await acreate_client(
            settings.supabase_url,
            settings.supabase_key.get_secret_value(),
            AsyncClientOptions(
                auto_refresh_token=False,
                persist_session=False,
                httpx_client=http,
            ),
        )
