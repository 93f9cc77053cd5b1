"""A fake www.tiktok.com and its image CDN, on a loopback port.

It responds like the real site, from a `World`, fails on request (`faults`), and logs its requests.
Tests use the attributes `world`, `faults`, `log` and `shaping`; other processes use `/_control/`
(see `control`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import secrets

from aiohttp import web

from dagster_tiktok.sandbox.tiktok.content.slide_images import SlideImages
from dagster_tiktok.sandbox.tiktok.content.slide_urls import SlideSigner
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http import control
from dagster_tiktok.sandbox.tiktok.http.faults import IMAGES, Decision, FaultPlan
from dagster_tiktok.sandbox.tiktok.http.faulty_responses import faulty
from dagster_tiktok.sandbox.tiktok.http.request_log import LogEntry, RequestLog
from dagster_tiktok.sandbox.tiktok.http.responses import FakeResponse, Responses
from dagster_tiktok.sandbox.tiktok.http.routes import find_route
from dagster_tiktok.sandbox.tiktok.http.state import ServerState, Shaping
from dagster_tiktok.sandbox.tiktok.http.transmission import transmit

DEFAULT_SLIDE_LIFETIME_SECONDS = 40 * 3600


class TikTokServer:
    """The server. Use `async with TikTokServer(world) as server`, or `start` and `close`.

    Arguments:
        world: what there is to see; it may be changed while the server runs.
        slide_lifetime_seconds: until an image's URL expires.
        public_url: where clients reach the server, if not at its own URL.
        fault_seed: of the chances of faults.
        image_cache_mb: how many drawn images to keep.
    """

    def __init__(
        self,
        world: World,
        *,
        slide_lifetime_seconds: float = DEFAULT_SLIDE_LIFETIME_SECONDS,
        public_url: str | None = None,
        shaping: Shaping | None = None,
        fault_seed: int = 0,
        image_cache_mb: int = 64,
    ) -> None:
        self.world = world
        self.faults = FaultPlan(fault_seed)
        self.log = RequestLog()
        self.shaping = shaping or Shaping()
        self.images = SlideImages(world, cache_mb=image_cache_mb)
        self.signer = SlideSigner(secrets.token_bytes(32), slide_lifetime_seconds)
        self._state = ServerState(
            world=world,
            faults=self.faults,
            log=self.log,
            shaping=self.shaping,
            images=self.images,
            signer=self.signer,
        )
        self.port = 0
        self._host = "127.0.0.1"
        self._public_url = public_url
        self._random = random.Random(fault_seed)
        self._responses = Responses(world, self.images, self.signer, lambda: self.url)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The URL of the server, without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return self._public_url or f"http://{host}:{self.port}"

    @property
    def request_count(self) -> int:
        """Requests since the start or the last reset, those to `/_control/` not counted."""
        return self.log.total

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listens. Port 0 lets the operating system choose; see `port`.

        Raises:
            ValueError: `host` is not a loopback IP address.
        """
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the sandbox listens on loopback addresses only, not on {host}")
        app = web.Application()
        app.add_subapp(control.PREFIX, control.application(self._state))
        app.router.add_route("*", "/{path:.*}", self._handle)
        # Cancelled when the client goes away: a request is in flight only while someone waits.
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True
        )
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        self._runner, self._host = runner, host
        self.port = int(runner.addresses[0][1])

    async def close(self) -> None:
        """Stops listening and ends open connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.images.close()

    async def __aenter__(self) -> TikTokServer:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        route = find_route(request.path, request.query, self.world)
        with self.log.entry(
            route.facts,
            method=request.method,
            path=request.path,
            query=request.query_string,
            user_agent=request.headers.get("User-Agent", ""),
            referer=request.headers.get("Referer", ""),
            has_cookies="Cookie" in request.headers,
            byte_range=request.headers.get("Range", ""),
        ) as entry:
            decision = self.faults.decide(route.facts)
            await asyncio.sleep((decision.wait_ms + self._latency_ms(route.facts.kind)) / 1000)
            response = await self._responses.respond(route, request)
            if decision.fault is not None:
                response = await faulty(decision.fault, response, route, request, self._responses)
            return await self._send(request, response, entry, decision)

    async def _send(
        self, request: web.Request, response: FakeResponse, entry: LogEntry, decision: Decision
    ) -> web.StreamResponse:
        entry.fault = decision.fault.kind if decision.fault else None
        entry.status = None if response.delivery == "reset" else response.status
        is_image = entry.kind in IMAGES
        rate = self.shaping.slide_bytes_per_second if is_image else None
        return await transmit(request, response, entry, bytes_per_second=rate)

    def _latency_ms(self, kind: str) -> float:
        if kind in IMAGES:
            return self.shaping.slide_first_byte_ms
        low, high = self.shaping.page_latency_ms
        return low if high <= low else self._random.uniform(low, high)
