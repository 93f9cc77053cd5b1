"""The time by this machine's clock. The database's clock decides what day it is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol

MAX_SKEW = timedelta(minutes=1)
"""Google rejects a sign-in if the clock is five minutes wrong."""


class Clock(Protocol):
    """The time for waits and limits. Tests have their own, so they don't measure the machine."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def block(self, seconds: float) -> None:
        """Sleeps in a thread, without an event loop."""
        ...


@dataclass(frozen=True)
class MonotonicClock:
    """The machine's clock. All instances are equal, because they show the same time."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def block(self, seconds: float) -> None:
        time.sleep(seconds)


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def skew(before: datetime, told: datetime, after: datetime) -> timedelta:
    """How far this machine is ahead of a clock that said `told` between two of its own moments.

    Zero where the call took so long that they may agree.
    """
    if before <= told <= after:
        return timedelta(0)
    return before - told if told < before else after - told


def describe_skew(ahead: timedelta) -> str:
    """`2 hours ahead of`, `45 seconds behind`."""
    seconds = round(abs(ahead.total_seconds()))
    sizes = ((86_400, "day"), (3600, "hour"), (60, "minute"))
    size, unit = next((each for each in sizes if seconds >= each[0]), (1, "second"))
    count = round(seconds / size)
    side = "ahead of" if ahead > timedelta(0) else "behind"
    return f"{count} {unit}{'' if count == 1 else 's'} {side}"
