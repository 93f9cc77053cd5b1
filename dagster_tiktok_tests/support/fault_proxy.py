"""A proxy between the store and Supabase that counts what passes and injects faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.responses import Respond

_NOT_PASSED_ON = {"transfer-encoding", "content-length", "connection", "content-encoding", "host"}


class FaultProxy(ScriptedServer):
    """Sends `faults` to uploads instead of passing them on, each once; `always` to all.

    `by_path` are sent to every upload of whose path the text is a part.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target
        self.faults: list[Respond] = []
        self.always: Respond | None = None
        self.by_path: dict[str, Respond] = {}
        self.until: Callable[[], Awaitable[object]] | None = None
        """What an upload waits for before it is passed on."""

    async def start(self) -> None:
        self._client = aiohttp.ClientSession(auto_decompress=False)
        await super().start()

    async def close(self) -> None:
        await super().close()
        await self._client.close()

    @property
    def uploads(self) -> int:
        return sum(
            logged.method == "POST" and logged.path.startswith("/storage/v1/object/")
            for logged in self.requests
        )

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            if self.until is not None:
                await self.until()
            for part, fault in self.by_path.items():
                if part in request.path:
                    return await fault(request)
            if self.faults:
                return await self.faults.pop(0)(request)
            if self.always:
                return await self.always(request)
        return await self._pass_on(request)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
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
