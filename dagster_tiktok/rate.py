"""The rate limit over all concurrency, and what keeps requests from passing it by."""

from __future__ import annotations

import asyncio

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


class RateLimit:
    """Lets `per_second` requests begin a second, evenly spaced; 0 is no limit.

    A token bucket of one token, kept as the time at which the next request may begin. A request
    that begins late (timers and busy processors are) gives up to half an interval of its delay
    back to the next one, and up to 10 ms, so that the rate is reached in the long run; more than
    that is lost, so that no window of one second ever holds more than `per_second` + 1
    beginnings. The intervals are a little longer than the limit asks for: requests also bunch up
    on their way, and it is the server that counts them.

    aiolimiter loses each wait's delay: measured at 50 a second it reaches 48.
    """

    def __init__(self, per_second: float, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self.interval = _RESERVE / per_second if per_second > 0 else 0.0
        """Seconds from one beginning to the next."""
        self._next = 0.0
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Returns when the next request may begin. Callers are served in order of arrival."""
        if not self.interval:
            return
        async with self._turn:
            if (left := self._next - self._clock.now()) > 0:
                await self._clock.sleep(left)
            given_back = min(self.interval / 2, _MOST_GIVEN_BACK_SECONDS)
            earliest = self._clock.now() - given_back
            self._next = max(self._next, earliest) + self.interval


class ConnectionLost(ClientConnectionError):
    """What aiohttp does not repeat by itself."""


async def without_silent_repetition(
    request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """A middleware for every session whose requests are limited.

    aiohttp sends a GET once more when a kept connection turns out to be closed. That request would
    pass the rate limit by and not be counted.
    """
    try:
        return await handler(request)
    except (ClientOSError, ServerDisconnectedError) as error:
        raise ConnectionLost(f"{type(error).__name__}: {error}") from error
