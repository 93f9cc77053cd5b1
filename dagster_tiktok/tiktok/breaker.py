"""When to stop asking: rejections in a row mean that TikTok has had enough of this address."""

from __future__ import annotations

import time
from collections.abc import Callable

from dagster_tiktok.errors import ServiceUnavailableError

PAUSE_AFTER = 5
OPEN_AFTER = 10


class TikTokRejectsError(ServiceUnavailableError):
    """TikTok refuses this address: nothing more is asked, and a later run goes on."""


class Breaker:
    """Counts rejections in a row: at `PAUSE_AFTER` a pause begins, at `OPEN_AFTER` it opens.

    A pause comes once in a row of rejections. An open breaker stays open: a later run has its own.
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
        """Rejections since the last readable answer."""
        return self._rejections

    def pause_left(self) -> float:
        """Seconds until requests may be sent again, 0 when they may be now."""
        if self._paused_until is None:
            return 0.0
        return max(0.0, self._paused_until - self._clock())

    def answered(self) -> None:
        """TikTok answered the question, whatever the answer. Ends a pause, not an open breaker."""
        if self.is_open:
            return
        self._rejections = 0
        self._paused_until = None

    def refused(self) -> None:
        # What arrives during the pause answers requests sent before it, and says nothing new.
        if self.is_open or self.pause_left() > 0:
            return
        self._rejections += 1
        if self._rejections == PAUSE_AFTER:
            self._paused_until = self._clock() + self._pause_seconds
