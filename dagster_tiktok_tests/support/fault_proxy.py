"""Stands between the store and Supabase, counts what passes, and misbehaves on request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

Fault = Callable[[web.Request], Awaitable[web.Response]]
_NOT_PASSED_ON = {"transfer-encoding", "content-length", "connection", "content-encoding", "host"}


@dataclass
class FaultProxy:
    """`faults` are answered to uploads instead of passing them on, each once; `always` to all.

    `by_path` are answered to every upload of whose path the text is a part.
    """

    target: str
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    by_path: dict[str, Fault] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    delay: float = 0.0
    until: Callable[[], Awaitable[object]] | None = None
    """What an upload waits for before it is passed on."""

    async def __aenter__(self) -> FaultProxy:
        self._client = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()
        await self._client.close()

    @property
    def uploads(self) -> int:
        return sum(line.startswith("POST /storage/v1/object/") for line in self.requests)

    async def _handle(self, request: web.Request) -> web.Response:
        self.requests.append(f"{request.method} {request.path}")
        if request.method == "POST":
            self.bodies.append(await request.read())
            await asyncio.sleep(self.delay)
            if self.until is not None:
                await self.until()
            for part, fault in self.by_path.items():
                if part in request.path:
                    return await fault(request)
            if self.faults:
                return await self.faults.pop(0)(request)
            if self.always:
                return await self.always(request)
        async with self._client.request(
            request.method,
            self.target + request.path_qs,
            headers={k: v for k, v in request.headers.items() if k.lower() not in _NOT_PASSED_ON},
            data=await request.read(),
        ) as response:
            headers = {k: v for k, v in response.headers.items() if k.lower() not in _NOT_PASSED_ON}
            if request.method == "HEAD" and "Content-Length" in response.headers:
                headers["Content-Length"] = response.headers["Content-Length"]
            return web.Response(status=response.status, body=await response.read(), headers=headers)


def answer(status: int, text: str = "no") -> Fault:
    async def fault(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, text=text)

    return fault


def storage_error(status: int, code: int, message: str) -> Fault:
    """As Supabase writes it: the status in the body is the true one."""
    return answer(status, f'{{"statusCode": "{code}", "error": "x", "message": "{message}"}}')


async def hung_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()
