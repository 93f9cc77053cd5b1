"""Response bodies are read to a limit, unpacked: a server may send more than this machine holds."""

from __future__ import annotations

import zlib

import httpx


class BodyTooLargeError(Exception):
    """The body has more bytes than are taken."""


async def read_start(response: httpx.Response, limit: int) -> bytes:
    """At most the first `limit` bytes of the body; nothing after them is read."""
    return (await _read(response, limit))[:limit]


async def read_whole(response: httpx.Response, limit: int) -> bytes:
    """The body.

    Raises:
        BodyTooLargeError: it has more than `limit` bytes.
        httpx.TransportError: it did not arrive.
    """
    body = await _read(response, limit)
    if len(body) > limit:
        raise BodyTooLargeError
    return body


async def _read(response: httpx.Response, limit: int) -> bytes:
    """The body unpacked, at most one byte more than `limit`. Closes the response."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    # 47: gzip or zlib, whichever it is. Nothing else was asked for, so nothing else is read.
    unpacking = zlib.decompressobj(47) if encoding in ("gzip", "x-gzip", "deflate") else None
    body = bytearray()
    try:
        async for piece in response.aiter_raw():
            room = limit + 1 - len(body)
            body += unpacking.decompress(piece, room) if unpacking else piece[:room]
            if len(body) > limit:
                break
    except zlib.error:
        raise httpx.DecodingError("the body is not packed as it says") from None
    finally:
        await response.aclose()
    return bytes(body)
