"""Staying below Google's quota: 60 reads and 60 writes a minute for each service account."""

from __future__ import annotations

import threading
from collections import deque

from dagster_tiktok.clock import Clock, MonotonicClock

REQUESTS_PER_MINUTE = 55
"""Below Google's 60, because the minute that Google counts is not ours."""


class QuotaLimiter:
    """Lets `limit` calls pass within any `window_seconds`; more wait. For threads."""

    def __init__(
        self,
        limit: int = REQUESTS_PER_MINUTE,
        window_seconds: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        self._window = window_seconds
        self._clock = clock or MonotonicClock()
        self._lock = threading.Lock()
        # The times at which the last `limit` calls passed, or will.
        self._passed: deque[float] = deque(maxlen=limit)

    def wait(self) -> float:
        """Returns after the seconds that had to be waited."""
        with self._lock:
            now = self._clock.now()
            full = len(self._passed) == self._passed.maxlen
            at = max(now, self._passed[0] + self._window) if full else now
            self._passed.append(at)
        if at > now:
            self._clock.block(at - now)
        return at - now


_limiters: dict[tuple[str, str, str], QuotaLimiter] = {}
_lock = threading.Lock()


def limiter(api_url: str, account: str, kind: str) -> QuotaLimiter:
    """The one limiter of this process for an account's reads or writes."""
    with _lock:
        return _limiters.setdefault((api_url, account, kind), QuotaLimiter())
