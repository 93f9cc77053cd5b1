"""A web server on a loopback port that answers what a test tells it to, and remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from dagster_tiktok.clock import Clock, MonotonicClock
from dagster_tiktok.settings import Settings

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    at: float
    path: str
    headers: dict[str, str]


class ScriptedSite:
    """`script` gives each path its replies, in order; the last one stays.

    What was `seen` has its time by `clock`.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self.script: dict[str, list[Reply]] = {}
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self._at_once = 0

    async def __aenter__(self) -> ScriptedSite:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def on(self, path: str, *replies: Reply) -> None:
        self.script[path] = list(replies)

    def settings(self, **changes: object) -> Settings:
        """Settings that lead to this server, without a rate limit."""
        own = {name.lower(): value for name, value in self.environment(self.url).items()}
        return Settings.model_validate({**own, **changes})

    @staticmethod
    def environment(url: str) -> dict[str, str]:
        """The same as variables, for a server elsewhere."""
        return {
            "SUPABASE_URL": "http://127.0.0.1:1",
            "SUPABASE_KEY": "sb_secret_test",
            "GOOGLE_SHEETS_CREDENTIALS": "{}",
            "GOOGLE_SHEET_URL": "https://docs.google.com/spreadsheets/d/0123456789abc/edit",
            "TIKTOK_BASE_URL": url,
            "TIKTOK_REQUESTS_PER_SECOND": "0",
        }

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(self._clock.now(), request.path, dict(request.headers)))
        replies = self.script.get(request.path)
        if not replies:
            return web.Response(status=500, text=f"no script for {request.path}")
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await reply(request)
        finally:
            self._at_once -= 1


def html(
    body: bytes, *, status: int = 200, headers: dict[str, str] | None = None, delay: float = 0
) -> Reply:
    async def reply(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(delay)
        response = web.Response(
            body=body, status=status, content_type="text/html", headers=headers or {}
        )
        response.enable_compression()
        return response

    return reply


def status(code: int, **headers: str) -> Reply:
    return html(b"", status=code, headers={k.replace("_", "-"): v for k, v in headers.items()})


def redirect(location: str) -> Reply:
    return html(b"moved", status=302, headers={"Location": location})


async def cut_off(request: web.Request) -> web.StreamResponse:
    """Half of a page, then the connection ends."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"<html>")
    assert request.transport is not None
    request.transport.abort()
    return response


async def hang_up(request: web.Request) -> web.StreamResponse:
    """No answer at all: the connection ends."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)
