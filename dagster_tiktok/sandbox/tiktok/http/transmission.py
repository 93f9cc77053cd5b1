"""Sends a response: at a given speed, or interrupted, stalled, too short, or endless."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from dagster_tiktok.sandbox.tiktok.http.request_log import LogEntry
from dagster_tiktok.sandbox.tiktok.http.responses import FakeResponse

_CHUNK_BYTES = 64 * 1024
_STALL_SECONDS = 3600.0
_ENDLESS_LIMIT_BYTES = 4 * 1024**3
_MISSING_BYTES = 1000
_BEFORE_RESET_SECONDS = 0.02
"""A reset discards what the other side has not read: leave it time to read the first half."""


async def transmit(
    request: web.Request,
    fake: FakeResponse,
    entry: LogEntry,
    *,
    bytes_per_second: float | None = None,
) -> web.StreamResponse:
    """Sends the response as its `delivery` says, and notes what was sent in the log's entry."""
    response = web.StreamResponse(status=fake.status, headers=dict(fake.headers))
    response.headers["Content-Type"] = fake.content_type
    for name, value in fake.cookies.items():
        response.set_cookie(name, value, max_age=31_536_000, httponly=name != "tt_csrf_token")
    if fake.delivery == "reset":
        _reset(request)
        return response
    body = fake.body
    if fake.delivery == "endless":
        response.force_close()
    else:
        response.content_length = len(body)
    if fake.delivery == "wrong_length":
        response.content_length = len(body) + _MISSING_BYTES
        response.force_close()
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        if fake.delivery in ("cut_off", "stall"):
            body = body[: len(body) // 2]
        await _write(response, body, entry, bytes_per_second)
        if fake.delivery == "cut_off":
            await asyncio.sleep(_BEFORE_RESET_SECONDS)
            _reset(request)
        elif fake.delivery == "stall":
            await asyncio.sleep(_STALL_SECONDS)
        elif fake.delivery == "endless":
            await _write_endlessly(response, entry)
        else:
            await response.write_eof()
    except ConnectionError:
        # The client disconnected, which is fine; aiohttp closes the connection.
        pass
    return response


async def _write(
    response: web.StreamResponse, body: bytes, entry: LogEntry, bytes_per_second: float | None
) -> None:
    if bytes_per_second is None:
        if body:
            await response.write(body)
        entry.bytes_sent += len(body)
        return
    loop = asyncio.get_running_loop()
    start = loop.time()
    for position in range(0, len(body), _CHUNK_BYTES):
        chunk = body[position : position + _CHUNK_BYTES]
        # The last byte of a chunk arrives when the line has carried everything up to it.
        due = start + (position + len(chunk)) / bytes_per_second
        await asyncio.sleep(max(0.0, due - loop.time()))
        await response.write(chunk)
        entry.bytes_sent += len(chunk)


async def _write_endlessly(response: web.StreamResponse, entry: LogEntry) -> None:
    chunk = b"\xff" * _CHUNK_BYTES
    while entry.bytes_sent < _ENDLESS_LIMIT_BYTES:
        await response.write(chunk)
        entry.bytes_sent += len(chunk)


def _reset(request: web.Request) -> None:
    """Ends the connection with a TCP reset, as a broken middlebox does."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
