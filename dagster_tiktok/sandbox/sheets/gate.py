"""What stands in front of the sandbox's Sheets API: quotas, faults, the request log."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FAULT_KINDS = frozenset(
    {
        "rate_limited",
        "error_500",
        "error_500_after",
        "unavailable",
        "unavailable_after",
        "dropped",
        "dropped_after",
        "slow",
        "slow_after",
        "html",
        "html_after",
        "truncated",
        "forbidden",
        "edit",
    }
)
ROLES = ("writer", "reader", "none")
OPERATIONS = frozenset({"read", "write", "metadata", "token", "any"})


class Quota:
    """A number of requests per window; the count starts again when the window is over."""

    def __init__(self, limit: int, window_seconds: float) -> None:
        self.limit = limit
        self._window = window_seconds
        self._began = 0.0
        self._used = 0

    def take(self) -> bool:
        """Counts a request. False when it is over the quota."""
        now = time.monotonic()
        if now - self._began >= self._window:
            self._began, self._used = now, 0
        self._used += 1
        return self._used <= self.limit

    def reset(self) -> None:
        self._used = 0

    def advance(self, seconds: float) -> None:
        """As if that much time had passed."""
        self._began -= seconds


@dataclass
class Fault:
    """What goes wrong, on which requests.

    `operation`: read (values), metadata, write, token or any. The first `skip` requests that fit
    pass, the next `count` are hit. Kinds that end in `_after` strike when the request has been
    applied. `edit` applies users' `edits` just before the request is applied.
    """

    kind: str
    operation: str = "any"
    count: int = 1
    skip: int = 0
    retry_after: float | None = None
    delay_seconds: float = 1.0
    edits: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"kind must be one of {', '.join(sorted(FAULT_KINDS))}")
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation must be one of {', '.join(sorted(OPERATIONS))}")

    @property
    def strikes_after(self) -> bool:
        return self.kind.endswith("_after")

    @property
    def name(self) -> str:
        return self.kind.removesuffix("_after")


class Faults:
    """Added and cleared by tests in their thread while the server asks in its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, values: Mapping[str, Any]) -> Fault:
        """Raises ValueError or TypeError for values that name no fault."""
        fault = Fault(**values)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def next(self, operation: str) -> Fault | None:
        """The fault that hits this request, which is counted."""
        found = None
        with self._lock:
            for fault in self._faults:
                if fault.operation not in (operation, "any"):
                    continue
                if fault.skip > 0:
                    # Also beside one that hits it: all count the same requests.
                    fault.skip -= 1
                elif fault.count > 0 and found is None:
                    fault.count -= 1
                    found = fault
        return found

    def describe(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults if fault.count > 0]


class RequestLog:
    """The last requests, and how many there were of each operation.

    The server writes it in its thread while a test reads it in another: under one lock, and what
    is read is a copy.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=5000)
        self._counts: Counter[str] = Counter()

    def open(self, operation: str, method: str, path: str) -> dict[str, Any]:
        """Begins an entry; `status` and what else is known are filled in later."""
        entry: dict[str, Any] = {
            "operation": operation,
            "method": method,
            "path": path,
            "unix": time.time(),
            "monotonic": time.monotonic(),
            "status": None,
            # What users did right before it: the `edit` faults that struck.
            "edits": None,
        }
        with self._lock:
            self._entries.append(entry)
            self._counts[operation] += 1
        return entry

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._counts.clear()

    def describe(self) -> dict[str, Any]:
        with self._lock:
            counts = {name: self._counts[name] for name in ("read", "write", "metadata", "token")}
            # The keys of an entry never change, only their values, so that it can be copied.
            return {"counts": counts, "requests": [dict(entry) for entry in self._entries]}


@dataclass
class Gate:
    """Everything that decides about a request besides the cells."""

    reads: Quota
    writes: Quota
    faults: Faults = field(default_factory=Faults)
    log: RequestLog = field(default_factory=RequestLog)
    role: str = "writer"
    """What the service account may do: the sheet is shared with it as writer, reader or not."""

    def advance(self, seconds: float) -> None:
        """As if that much time had passed for the quotas."""
        self.reads.advance(seconds)
        self.writes.advance(seconds)

    def reset(self) -> None:
        """Faults, log, quotas and access as at the start."""
        self.faults.clear()
        self.log.clear()
        self.reads.reset()
        self.writes.reset()
        self.role = "writer"
