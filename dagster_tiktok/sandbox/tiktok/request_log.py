"""What was asked of the server: so that a test can say what was not fetched again."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from dagster_tiktok.sandbox.tiktok.faults import RequestFacts

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
    """None while it is answered, and for a connection that ended before any status."""
    fault: str | None = None
    bytes_sent: int = 0
    duration_ms: float | None = None


class RequestLog:
    """The newest requests, and counts over all of them since the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.entries: deque[LogEntry] = deque(maxlen=_KEPT_ENTRIES)
        self.total = 0
        self.by_path: Counter[str] = Counter()
        self.by_kind: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.peak_in_flight: Counter[str] = Counter()

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
        """Logs a request for as long as it is answered; its status is set inside."""
        start = time.monotonic()
        self.total += 1
        entry = LogEntry(
            self.total, time.time(), start, method, path, query,
            facts.kind, facts.post_id, facts.slide_number, facts.mirror, facts.name,
            user_agent, referer, has_cookies, byte_range,
        )  # fmt: skip
        self.entries.append(entry)
        self.by_path[path] += 1
        self.by_kind[facts.kind] += 1
        # A reset in the meantime must not see this request end.
        in_flight, by_status = self.in_flight, self.by_status
        in_flight[facts.kind] += 1
        self.peak_in_flight[facts.kind] = max(
            self.peak_in_flight[facts.kind], in_flight[facts.kind]
        )
        try:
            yield entry
        finally:
            in_flight[facts.kind] -= 1
            entry.duration_ms = (time.monotonic() - start) * 1000
            by_status[str(entry.status)] += 1

    def selected(
        self,
        *,
        kind: str | None = None,
        post_id: str | None = None,
        path: str | None = None,
        after: int = 0,
    ) -> list[LogEntry]:
        """Entries of that kind, post or path, with a number above `after`."""
        return [
            e
            for e in self.entries
            if e.number > after
            and kind in (None, e.kind)
            and post_id in (None, e.post_id)
            and path in (None, e.path)
        ]

    def counts(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "by_path": dict(self.by_path),
            "by_kind": dict(self.by_kind),
            "by_status": dict(self.by_status),
            "peak_in_flight": dict(self.peak_in_flight),
        }

    @staticmethod
    def as_json(entries: list[LogEntry]) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in entries]
