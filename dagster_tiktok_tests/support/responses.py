"""What the HTTP servers of the tests send: intact, slow, cut off, or nothing at all."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar

from aiohttp import web

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]

FILE: ContextVar[bytes] = ContextVar("FILE")
"""The file that the path of the current request names, if its server has files."""


def respond(
    body: bytes | str = b"",
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Respond:
    sent = body.encode() if isinstance(body, str) else body

    async def respond_with(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body=sent, status=status, headers={"Content-Type": content_type, **(headers or {})}
        )

    return respond_with


def html(
    body: bytes, *, status: int = 200, headers: dict[str, str] | None = None, delay: float = 0
) -> Respond:
    """A page, compressed if the client takes that.

    Arguments:
        delay: seconds before it is sent.
    """

    async def respond_with(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(delay)
        response = web.Response(
            body=body, status=status, content_type="text/html", headers=headers or {}
        )
        response.enable_compression()
        return response

    return respond_with


def image(body: bytes) -> Respond:
    return respond(body, content_type="image/jpeg")


def status(code: int, **headers: str) -> Respond:
    """A status and no body; `headers` by name, with `_` for a hyphen."""
    return html(b"", status=code, headers={k.replace("_", "-"): v for k, v in headers.items()})


def redirect(location: str) -> Respond:
    return html(b"moved", status=302, headers={"Location": location})


def storage_error(status: int, code: int, message: str) -> Respond:
    """As Supabase Storage writes it: the status in the body is the true one."""
    body = f'{{"statusCode": "{code}", "error": "x", "message": "{message}"}}'
    return respond(body, status=status)


def dripping(pieces: Iterable[bytes], pause: float) -> Respond:
    """Sends the pieces one by one, with `pause` seconds after each, until the client leaves."""

    async def respond_with(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in pieces:
            if request.transport is None or request.transport.is_closing():
                break
            await response.write(piece)
            await asyncio.sleep(pause)
        return response

    return respond_with


def endless(piece: bytes = b"x" * 65536) -> Respond:
    """The same piece again and again, as fast as the client reads."""

    async def respond_with(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport and not request.transport.is_closing():
            await response.write(piece)
        return response

    return respond_with


endless_image = endless(b"\xff\xd8\xff" + bytes(64 * 1024))


def raw(text: bytes) -> Respond:
    """Writes bytes as they are, whether or not they are HTTP."""

    async def respond_with(request: web.Request) -> web.StreamResponse:
        if request.transport:
            request.transport.write(text)
            request.transport.close()
        return web.Response()

    return respond_with


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Sends nothing: the connection ends."""
    if request.transport:
        request.transport.abort()
    return web.Response()


async def half_a_page(request: web.Request) -> web.StreamResponse:
    """Announces 1000 bytes, sends six, and ends the connection."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"<html>")
    if request.transport:
        request.transport.abort()
    return response


def etag(file: bytes) -> str:
    return f'"{hashlib.sha256(file).hexdigest()[:16]}"'


async def whole_file(request: web.Request) -> web.StreamResponse:
    """The file, or the range of it that the request names."""
    file = FILE.get()
    if not file:
        raise web.HTTPNotFound
    headers = {"ETag": etag(file), "Accept-Ranges": "bytes", "Content-Type": "image/jpeg"}
    span = request.headers.get("Range", "")
    if span and request.headers.get("If-Range") == etag(file):
        start = int(span.removeprefix("bytes=").removesuffix("-"))
        if start >= len(file):
            raise web.HTTPRequestRangeNotSatisfiable
        headers["Content-Range"] = f"bytes {start}-{len(file) - 1}/{len(file)}"
        return web.Response(status=206, body=file[start:], headers=headers)
    return web.Response(body=file, headers=headers)


def cut_off(after: int, *, validator: str | None = "") -> Respond:
    """Announces the whole file and closes the connection after some bytes.

    Arguments:
        validator: the ETag; None for no ETag, the file's own if it is empty.
    """

    async def respond_with(request: web.Request) -> web.StreamResponse:
        response = await _begin_file(request, after, validator)
        await asyncio.sleep(0.02)
        if request.transport:
            request.transport.close()
        return response

    return respond_with


def stalled(after: int) -> Respond:
    """Sends some bytes of the file and then nothing."""

    async def respond_with(request: web.Request) -> web.StreamResponse:
        response = await _begin_file(request, after, "")
        await asyncio.sleep(3600)
        return response

    return respond_with


async def _begin_file(
    request: web.Request, after: int, validator: str | None
) -> web.StreamResponse:
    file = FILE.get()
    headers = {} if validator is None else {"ETag": validator or etag(file)}
    response = web.StreamResponse(headers=headers)
    response.content_length = len(file)
    await response.prepare(request)
    await response.write(file[:after])
    return response
