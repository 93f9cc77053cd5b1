"""The one HTTP server of the tests: it sends what a test scripts, and logs the requests.

What it can send is in `responses`. `cdn.Cdn` adds files to it, `fault_proxy.FaultProxy` a real
server behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from dagster_tiktok.clock import Clock, MonotonicClock
from dagster_tiktok_tests.support.responses import Respond
from dagster_tiktok_tests.support.threads import EventLoopThread

Server = TypeVar("Server", bound="ScriptedServer")


@dataclass(frozen=True)
class LoggedRequest:
    """`at` is by the server's clock."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer:
    """Serves on a port that the system chose, in `async with`, or in `with` from a thread.

    Arguments:
        responses: to the requests whose path has no script of its own, in order; the last one
            stays.
        clock: for the times of the log.
    """

    def __init__(self, *responses: Respond, clock: Clock | None = None) -> None:
        self.script: dict[str, list[Respond]] = {"/*": list(responses)} if responses else {}
        self.requests: list[LoggedRequest] = []
        self.most_at_once = 0
        self._at_once = 0
        self._clock = clock or MonotonicClock()

    def on(self, path: str, *responses: Respond) -> None:
        """Scripts the responses to a path, in order; the last one stays.

        Arguments:
            path: with a `*` at its end, every path that begins with it and has no script of its
                own.
        """
        self.script[f"/{path.lstrip('/')}"] = list(responses)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """The next response of the script."""
        responses = self._scripted(request.path)
        if not responses:
            return await self.respond_without_script(request)
        respond = responses.pop(0) if len(responses) > 1 else responses[0]
        return await respond(request)

    async def respond_without_script(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text=f"no script for {request.path}")

    def _scripted(self, path: str) -> list[Respond] | None:
        if path in self.script:
            return self.script[path]
        prefixes = (key for key in self.script if key.endswith("*") and path.startswith(key[:-1]))
        longest = max(prefixes, key=len, default=None)
        return None if longest is None else self.script[longest]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        logged = LoggedRequest(
            self._clock.now(),
            request.method,
            request.path,
            dict(request.headers),
            await request.read(),
        )
        self.requests.append(logged)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self.respond(request)
        finally:
            self._at_once -= 1

    async def start(self) -> None:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self._runner.cleanup()

    async def __aenter__(self: Server) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __enter__(self: Server) -> Server:
        self._thread = EventLoopThread()
        self._thread.run(self.start())
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.run(self.close())
        self._thread.close()
