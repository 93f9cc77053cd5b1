"""Measures how long a stage took, however it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class TimedReport(Protocol):
    seconds: float


@contextmanager
def timed(report: TimedReport) -> Iterator[None]:
    """Sets `report.seconds` (wall-clock time) when the block ends, also by an error."""
    started = time.monotonic()
    try:
        yield
    finally:
        report.seconds = time.monotonic() - started
