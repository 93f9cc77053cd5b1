"""How long a stage took, however it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class TimedReport(Protocol):
    seconds: float


@contextmanager
def timed(report: TimedReport) -> Iterator[None]:
    """Sets `report.seconds` when the block ends, by an error too. Wall-clock seconds."""
    started = time.monotonic()
    try:
        yield
    finally:
        report.seconds = time.monotonic() - started
