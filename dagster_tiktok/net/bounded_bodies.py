"""Reads response bodies up to a limit after decompression, so that they fit into memory."""

from __future__ import annotations

import zlib

import httpx


class BodyTooLargeError(Exception):
    """The body has more bytes than the limit."""


async def read_start(response: httpx.Response, limit: int) -> bytes:
    """At most the first `limit` bytes of the body. Does not read the rest."""
    return (await _read(response, limit))[:limit]


async def read_whole(response: httpx.Response, limit: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLargeError: it has more than `limit` bytes.
        httpx.TransportError: it did not arrive completely.
    """
    body = await _read(response, limit)
    if len(body) > limit:
        raise BodyTooLargeError
    return body


async def _read(response: httpx.Response, limit: int) -> bytes:
    """The decompressed body, at most one byte more than `limit`. Closes the response."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    # 47 accepts gzip and zlib. We request no other encoding.
    decompressor = zlib.decompressobj(47) if encoding in ("gzip", "x-gzip", "deflate") else None
    body = bytearray()
    try:
        async for piece in response.aiter_raw():
            free = limit + 1 - len(body)
            body += decompressor.decompress(piece, free) if decompressor else piece[:free]
            if len(body) > limit:
                break
    except zlib.error:
        raise httpx.DecodingError("the body does not have the declared encoding") from None
    finally:
        await response.aclose()
    return bytes(body)
