"""The rate limit over all concurrency."""

from __future__ import annotations

import asyncio
import time

_RESERVE = 1.01


class RateLimit:
    """Lets `per_second` requests begin a second, evenly spaced; 0 is no limit.

    A token bucket of one token, kept as the time at which the next request may begin. A request
    that begins late (timers and busy processors are) gives up to half an interval of its delay
    back to the next one, so that the rate is reached in the long run; more than that is lost, so
    that no window of one second ever holds more than `per_second` + 1 beginnings. The intervals
    are a little longer than the limit asks for: requests also bunch up on their way, and it is
    the server that counts them.

    aiolimiter loses each wait's delay: measured at 50 a second it reaches 48.
    """

    def __init__(self, per_second: float) -> None:
        self.interval = _RESERVE / per_second if per_second > 0 else 0.0
        """Seconds from one beginning to the next."""
        self._next = 0.0
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Returns when the next request may begin. Callers are served in order of arrival."""
        if not self.interval:
            return
        async with self._turn:
            if (left := self._next - time.monotonic()) > 0:
                await asyncio.sleep(left)
            earliest = time.monotonic() - self.interval / 2
            self._next = max(self._next, earliest) + self.interval
