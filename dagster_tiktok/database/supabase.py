"""The only connection to Supabase: supabase-py over an HTTP client with retries and timeouts.

Every request of this project may be sent twice: the database's functions are idempotent, and
objects are stored under the hash of their content. So the transport retries, below supabase-py,
which retries only reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import httpx
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from dagster_tiktok.database.service_states import (
    ProjectUnavailableError,
    is_transient_error,
    known_state,
)
from dagster_tiktok.errors import ServiceUnavailableError, UnreachableServiceError
from dagster_tiktok.net.bounded_bodies import BodyTooLargeError, read_start, read_whole
from dagster_tiktok.net.retry import (
    TransientError,
    async_retrying,
    is_transient_status,
    parse_retry_after,
)
from dagster_tiktok.redaction import redacted_body
from dagster_tiktok.settings import Settings

TIMEOUT = httpx.Timeout(60.0, connect=5.0)

MAX_ERROR_BYTES = 64 * 2**10
"""An error's body is truncated to this. Supabase's own are below 2 kB."""

MAX_RESPONSE_BYTES = 64 * 2**20
"""Limit for the response of a function or a listing, decompressed. The largest claims take 8 MB."""


class RetryingTransport(httpx.AsyncBaseTransport):
    """Sends a request again after a network error or a transient status.

    Raises:
        ServiceUnavailableError: the last attempt failed too (UnreachableServiceError: it could not
            connect; ProjectUnavailableError: an operator has to fix the project).
    """

    def __init__(
        self, *, attempts: int = 4, max_connections: int = 16, secrets: Collection[str] = ()
    ) -> None:
        """`secrets` are those of the settings: no error message contains one of them."""
        # HTTP/2 is off: its connections die after a number of streams.
        self._inner = httpx.AsyncHTTPTransport(
            http2=False, limits=httpx.Limits(max_connections=max_connections)
        )
        self._attempts = attempts
        self._secrets = secrets

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # A body in memory can be sent again. A form reads its file again by itself, so that large
        # slides in flight need no memory.
        if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
            await request.aread()
        try:
            async for attempt in async_retrying(self._attempts):
                with attempt:
                    return await self._send(request)
        except TransientError as error:
            origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
            if isinstance(error, _UnavailableError):
                raise ProjectUnavailableError(str(error)) from error
            unreachable = isinstance(error.__cause__, httpx.ConnectError)
            kind = UnreachableServiceError if unreachable else ServiceUnavailableError
            raise kind(f"Supabase ({origin}) {error}") from error
        raise AssertionError("tenacity ends by returning or raising")

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.ConnectError as error:
            raise TransientError("cannot be reached") from error
        except httpx.TransportError as error:
            raise _lost(error) from None
        if response.is_success:
            return await self._read_success(request, response)
        try:
            body = redacted_body(await read_start(response, MAX_ERROR_BYTES), self._secrets)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _lost(error) from None
        response = _with_body(request, response, body)
        if response.is_redirect:
            return response
        details = parse_error(body)
        status = true_status(request.url, response.status_code, details)
        retry_after = parse_retry_after(response.headers)
        known = known_state(
            status, code=str(details.get("code")), message=str(details.get("message"))
        )
        if known is not None:
            if not (is_transient_status(status) or is_transient_error(details)):
                raise ProjectUnavailableError(known)
            raise _UnavailableError(known, retry_after=retry_after)
        if status in (401, 403) and not details:
            # Supabase rejects a key in JSON. An HTML page comes from a proxy in front of it, which
            # rejects this machine: nothing is wrong with the key.
            raise TransientError(
                f"was not reached: a proxy in front of it rejected the request ({status}, no JSON)",
                retry_after=retry_after,
            )
        if is_transient_status(status) or is_transient_error(details):
            message = str(details.get("message") or "no message")[:300]
            # 520 and above come from proxies and poolers in front of the service.
            text = (
                f"did not respond ({status}: {message})"
                if status >= 520
                else (f"responded with {status}: {message}")
            )
            raise TransientError(text, retry_after=retry_after)
        return response

    async def _read_success(
        self, request: httpx.Request, response: httpx.Response
    ) -> httpx.Response:
        """Reads a successful response whole, except objects: their reader has its own limit."""
        if request.method == "GET" and "/storage/v1/object/" in request.url.path:
            return response
        try:
            body = await read_whole(response, MAX_RESPONSE_BYTES)
        except BodyTooLargeError:
            raise ServiceUnavailableError(
                f"SUPABASE_URL returned more than {MAX_RESPONSE_BYTES:,} bytes, which Supabase "
                "never does: check the URL, and any proxy in front of it."
            ) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _lost(error) from None
        if "json" not in response.headers.get("Content-Type", ""):
            # A page from a proxy: the clients above quote it when they can't parse it as JSON.
            body = redacted_body(body, self._secrets)
        return _with_body(request, response, body)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _lost(error: httpx.HTTPError) -> TransientError:
    # Without its cause: httpx quotes header values, and one of them is the key.
    return TransientError(f"did not respond ({type(error).__name__})")


def _with_body(request: httpx.Request, response: httpx.Response, body: bytes) -> httpx.Response:
    """The response with a body that is already read and decompressed."""
    about_the_body = ("content-length", "content-encoding", "transfer-encoding")
    headers = [(k, v) for k, v in response.headers.multi_items() if k not in about_the_body]
    return httpx.Response(response.status_code, headers=headers, content=body, request=request)


class _UnavailableError(TransientError):
    """A known state of the project that may be over by the next attempt."""


def parse_error(body: bytes) -> dict[str, Any]:
    """The JSON object of a Supabase error; empty if the body is anything else."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def true_status(url: httpx.URL, status: int, details: dict[str, Any]) -> int:
    """Storage responds with 400 to most errors; the real status is then in the body, as text."""
    inner = str(details.get("statusCode", ""))
    is_storage = "/storage/v1/" in url.path
    if is_storage and status == 400 and re.fullmatch("[45][0-9]{2}", inner):
        return int(inner)
    return status


@asynccontextmanager
async def open_supabase(settings: Settings, *, attempts: int = 4) -> AsyncIterator[AsyncClient]:
    """A client of the project's Supabase, closed on exit."""
    async with httpx.AsyncClient(
        transport=RetryingTransport(attempts=attempts, secrets=settings.secrets),
        timeout=TIMEOUT,
        follow_redirects=False,
        headers={"Accept-Encoding": "gzip, deflate"},
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
