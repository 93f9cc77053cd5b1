"""The rate limit for all concurrent requests, and a middleware against requests that bypass it."""

from __future__ import annotations

import asyncio
import threading

from aiohttp import (
    ClientConnectionError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ServerDisconnectedError,
)

from dagster_tiktok.clock import Clock, MonotonicClock

_MARGIN = 1.01
_MAX_CATCH_UP_SECONDS = 0.01


class _Pace:
    """When this process may start its next request to one service."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.next = 0.0


_paces: dict[tuple[str, Clock], _Pace] = {}
_lock = threading.Lock()


class RateLimit:
    """Lets `per_second` requests start each second, evenly spaced; 0 is no limit.

    A token bucket of one token, stored as the time at which the next request may start. If a
    request starts late (timers are inexact, CPUs are busy), the next one may catch up by half an
    interval and at most 10 ms. So the rate is reached in the long run, and no window of one second
    has more than `per_second` + 1 starts. The intervals are 1 % longer than necessary, because
    requests bunch up on the network, and the server counts arrivals.

    aiolimiter does not catch up: at a limit of 50 a second we measured 48.

    Arguments:
        service: what we request from, such as a base URL. All limits for one service share its
            rate within this process, across threads and event loops: each stage, `doctor` and
            `repair` have their own client, but the service sees one.
    """

    def __init__(self, per_second: float, clock: Clock | None = None, *, service: str) -> None:
        self._clock = clock or MonotonicClock()
        self.interval = _MARGIN / per_second if per_second > 0 else 0.0
        """Seconds from one start to the next."""
        with _lock:
            self._pace = _paces.setdefault((service, self._clock), _Pace())
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Returns when the next request may start. First come, first served."""
        if not self.interval:
            return
        async with self._turn:
            while (left := self._take()) > 0:
                await self._clock.sleep(left)

    def _take(self) -> float:
        """Seconds left to wait; 0 means that the request may start, and counts it."""
        pace = self._pace
        with pace.lock:
            now = self._clock.now()
            if pace.next > now:
                return pace.next - now
            catch_up = min(self.interval / 2, _MAX_CATCH_UP_SECONDS)
            pace.next = max(pace.next, now - catch_up) + self.interval
            return 0.0


class ConnectionLostError(ClientConnectionError):
    """A lost connection, as an error that aiohttp does not retry by itself."""


async def without_silent_retries(
    request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """A middleware for sessions with a rate limit.

    aiohttp retries a GET by itself when a keep-alive connection turns out to be closed. That
    request would bypass the rate limit and the count.
    """
    try:
        return await handler(request)
    except (ClientOSError, ServerDisconnectedError) as error:
        raise ConnectionLostError(f"{type(error).__name__}: {error}") from error
