"""A small content network of real sockets, which misbehaves on request."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from dagster_tiktok.models import SlideSource

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    path: str
    headers: dict[str, str]
    status: int | None = None


@dataclass
class Cdn:
    """`files` by path; `faults` by path, each used for one request, in order; `always` for all."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, Answer] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    delay: float = 0.0
    hold_until: int = 0
    """So many requests have to be under way at once before any is answered."""
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._enough = asyncio.Event()

    async def __aenter__(self) -> Cdn:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def address(self, path: str, *, lives_for: float = 40 * 3600) -> str:
        return (
            f"http://{self.host}/{path}?x-expires={int(time.time() + lives_for)}&x-signature=a%2Bb"
        )

    def slide(self, number: int, *paths: str, lives_for: float = 40 * 3600) -> SlideSource:
        """Its mirrors are `paths`; its key is made from the first, as the real one's is."""
        return SlideSource(
            number=number,
            mirrors=tuple(self.address(path, lives_for=lives_for) for path in paths),
            image_key=hashlib.md5(paths[0].encode(), usedforsecurity=False).hexdigest(),
        )

    def asked(self, path: str) -> int:
        return sum(seen.path == path for seen in self.requests)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        seen = Seen(path, dict(request.headers))
        self.requests.append(seen)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.most_at_once >= self.hold_until:
            self._enough.set()
        try:
            await self._enough.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            waiting = self.faults[path]
            answer = waiting.pop(0) if waiting else self.always.get(path, whole)
            response = await answer(request, self.files.get(path, b""))
            seen.status = response.status
            return response
        finally:
            self.at_once -= 1


def etag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


async def whole(request: web.Request, body: bytes) -> web.StreamResponse:
    """The file, or the part of it that is asked for."""
    if not body:
        raise web.HTTPNotFound
    etag = etag_of(body)
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "image/jpeg"}
    span = request.headers.get("Range", "")
    if span and request.headers.get("If-Range") == etag:
        start = int(span.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            raise web.HTTPRequestRangeNotSatisfiable
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return web.Response(status=206, body=body[start:], headers=headers)
    return web.Response(body=body, headers=headers)


def status(code: int, **headers: str) -> Answer:
    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, text="no", headers=named)

    return answer


def body_of(other: bytes, content_type: str = "image/jpeg") -> Answer:
    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(body=other, content_type=content_type)

    return answer


def redirect(location: str) -> Answer:
    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return answer


def cut_off(after: int, *, etag: bool = True) -> Answer:
    """Announces the whole length and closes the connection after some bytes."""

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"ETag": etag_of(body)} if etag else {})
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[:after])
        await asyncio.sleep(0.02)
        if request.transport:
            request.transport.close()
        return response

    return answer


async def hung_up(request: web.Request, body: bytes) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return web.Response()


def stalled(after: int) -> Answer:
    """Sends some bytes and then nothing."""

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"ETag": etag_of(body)})
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[:after])
        await asyncio.sleep(3600)
        return response

    return answer


async def endless(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while request.transport and not request.transport.is_closing():
        await response.write(b"\xff\xd8\xff" + bytes(64 * 1024))
    return response
