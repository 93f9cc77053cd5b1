"""The requests to the server, so that a test can show what was not fetched again."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from dagster_tiktok.sandbox.tiktok.http.faults import RequestFacts

_KEPT_ENTRIES = 200_000


@dataclass
class LogEntry:
    """One request. Times are of its arrival: unix and monotonic seconds (one clock a machine)."""

    number: int
    unix: float
    monotonic: float
    method: str
    path: str
    query: str
    kind: str
    post_id: str | None
    slide_number: int | None
    mirror: int | None
    name: str | None
    user_agent: str
    referer: str
    has_cookies: bool
    byte_range: str
    status: int | None = None
    """None until the response starts, and if the connection ended before that."""
    fault: str | None = None
    bytes_sent: int = 0
    duration_ms: float | None = None


class _Counts:
    """What was counted since a reset. A request that began before it is counted on here."""

    def __init__(self) -> None:
        self.entries: deque[LogEntry] = deque(maxlen=_KEPT_ENTRIES)
        self.total = 0
        self.by_path: Counter[str] = Counter()
        self.by_kind: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.peak_in_flight: Counter[str] = Counter()


class RequestLog:
    """The newest requests, and counts over all of them since the last reset.

    The server writes it in its thread while a test reads it in another: everything is done under
    one lock, and what is read is a copy.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = _Counts()

    def reset(self) -> None:
        with self._lock:
            self._now = _Counts()

    @property
    def entries(self) -> list[LogEntry]:
        with self._lock:
            return [replace(entry) for entry in self._now.entries]

    @property
    def total(self) -> int:
        return self._now.total

    @property
    def by_path(self) -> Counter[str]:
        with self._lock:
            return self._now.by_path.copy()

    @property
    def by_kind(self) -> Counter[str]:
        with self._lock:
            return self._now.by_kind.copy()

    @property
    def in_flight(self) -> Counter[str]:
        with self._lock:
            return self._now.in_flight.copy()

    @contextmanager
    def entry(
        self,
        facts: RequestFacts,
        *,
        method: str,
        path: str,
        query: str = "",
        user_agent: str = "",
        referer: str = "",
        has_cookies: bool = False,
        byte_range: str = "",
    ) -> Iterator[LogEntry]:
        """Logs a request while it is handled; set its status inside."""
        start = time.monotonic()
        with self._lock:
            # A reset in the meantime must not see this request end.
            counts = self._now
            counts.total += 1
            entry = LogEntry(
                counts.total, time.time(), start, method, path, query,
                facts.kind, facts.post_id, facts.slide_number, facts.mirror, facts.name,
                user_agent, referer, has_cookies, byte_range,
            )  # fmt: skip
            counts.entries.append(entry)
            counts.by_path[path] += 1
            counts.by_kind[facts.kind] += 1
            counts.in_flight[facts.kind] += 1
            counts.peak_in_flight[facts.kind] = max(
                counts.peak_in_flight[facts.kind], counts.in_flight[facts.kind]
            )
        try:
            yield entry
        finally:
            with self._lock:
                counts.in_flight[facts.kind] -= 1
                entry.duration_ms = (time.monotonic() - start) * 1000
                counts.by_status[str(entry.status)] += 1

    def selected(
        self,
        *,
        kind: str | None = None,
        post_id: str | None = None,
        path: str | None = None,
        after: int = 0,
    ) -> list[LogEntry]:
        """Entries of that kind, post or path, with a number above `after`."""
        with self._lock:
            return [
                replace(e)
                for e in self._now.entries
                if e.number > after
                and kind in (None, e.kind)
                and post_id in (None, e.post_id)
                and path in (None, e.path)
            ]

    def counts(self) -> dict[str, Any]:
        with self._lock:
            return {
                "total": self._now.total,
                "by_path": dict(self._now.by_path),
                "by_kind": dict(self._now.by_kind),
                "by_status": dict(self._now.by_status),
                "peak_in_flight": dict(self._now.peak_in_flight),
            }

    @staticmethod
    def as_json(entries: list[LogEntry]) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in entries]
