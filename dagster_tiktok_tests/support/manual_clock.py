"""A clock for limits and pauses: no test waits for the machine's, or measures it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator


class ManualClock:
    """Moves by `advance`, and by each sleep: its seconds, and what `late` adds."""

    def __init__(self, late: Iterator[float] | None = None) -> None:
        self._now = 1000.0
        self._late = late
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds

    async def sleep(self, seconds: float) -> None:
        self.block(seconds)
        await asyncio.sleep(0)

    def block(self, seconds: float) -> None:
        self.advance(seconds + (next(self._late) if self._late else 0))
