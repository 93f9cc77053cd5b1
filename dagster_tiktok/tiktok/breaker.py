"""The circuit breaker for TikTok's pages: after several rejections in a row, stop asking.

`slides.breaker` is the same for the CDN.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dagster_tiktok.errors import ServiceUnavailableError

PAUSE_AFTER = 5
OPEN_AFTER = 10


class TikTokRejectionError(ServiceUnavailableError):
    """TikTok rejects our requests. No more are sent in this run; a later run continues."""


class Breaker:
    """Counts rejections in a row: at `PAUSE_AFTER` requests pause, at `OPEN_AFTER` they stop.

    There is one pause in a row of rejections. An open breaker stays open: a later run has its own.
    """

    def __init__(self, pause_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._rejections = 0
        self._paused_until: float | None = None

    @property
    def is_open(self) -> bool:
        return self._rejections >= OPEN_AFTER

    @property
    def rejections(self) -> int:
        """Rejections since the last success."""
        return self._rejections

    def pause_left(self) -> float:
        """Seconds until requests may be sent again, 0 if they may be sent now."""
        if self._paused_until is None:
            return 0.0
        return max(0.0, self._paused_until - self._clock())

    def record_response(self) -> None:
        """TikTok sent a page that can be read, whatever it says. Ends a pause."""
        if self.is_open:
            return
        self._rejections = 0
        self._paused_until = None

    def record_rejection(self) -> None:
        # During the pause, responses to requests that were sent before it still arrive.
        if self.is_open or self.pause_left() > 0:
            return
        self._rejections += 1
        if self._rejections == PAUSE_AFTER:
            self._paused_until = self._clock() + self._pause_seconds
