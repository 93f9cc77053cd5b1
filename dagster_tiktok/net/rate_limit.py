"""The rate limit over all concurrency, and what keeps requests from passing it by."""

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

_RESERVE = 1.01
_MOST_GIVEN_BACK_SECONDS = 0.01


class _Pace:
    """When the next request of this process to one service may begin."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.next = 0.0


_paces: dict[tuple[str, Clock], _Pace] = {}
_lock = threading.Lock()


class RateLimit:
    """Lets `per_second` requests begin a second, evenly spaced; 0 is no limit.

    A token bucket of one token, kept as the time at which the next request may begin. A request
    that begins late (timers and busy processors are) gives up to half an interval of its delay
    back to the next one, and up to 10 ms, so that the rate is reached in the long run; more than
    that is lost, so that no window of one second ever holds more than `per_second` + 1
    beginnings. The intervals are a little longer than the limit asks for: requests also bunch up
    on their way, and it is the server that counts them.

    aiolimiter loses each wait's delay: measured at 50 a second it reaches 48.

    Arguments:
        service: what is asked, such as a base URL. All limits of this process for one service
            share its time, also in other threads and event loops: each stage of a run, `doctor`
            and `repair` make their own client, and the service sees one.
    """

    def __init__(self, per_second: float, clock: Clock | None = None, *, service: str) -> None:
        self._clock = clock or MonotonicClock()
        self.interval = _RESERVE / per_second if per_second > 0 else 0.0
        """Seconds from one beginning to the next."""
        with _lock:
            self._pace = _paces.setdefault((service, self._clock), _Pace())
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Returns when the next request may begin. Callers are served in order of arrival."""
        if not self.interval:
            return
        async with self._turn:
            while (left := self._take()) > 0:
                await self._clock.sleep(left)

    def _take(self) -> float:
        """The seconds that are left to wait; at 0 the request may begin, and is counted."""
        pace = self._pace
        with pace.lock:
            now = self._clock.now()
            if pace.next > now:
                return pace.next - now
            given_back = min(self.interval / 2, _MOST_GIVEN_BACK_SECONDS)
            pace.next = max(pace.next, now - given_back) + self.interval
            return 0.0


class ConnectionLostError(ClientConnectionError):
    """What aiohttp does not repeat by itself."""


async def without_silent_retries(
    request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """A middleware for every session whose requests are limited.

    aiohttp sends a GET once more when a kept connection turns out to be closed. That request would
    pass the rate limit by and not be counted.
    """
    try:
        return await handler(request)
    except (ClientOSError, ServerDisconnectedError) as error:
        raise ConnectionLostError(f"{type(error).__name__}: {error}") from error
