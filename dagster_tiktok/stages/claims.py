"""Claims due units in chunks and hands them to workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from dagster_tiktok.database.ledger import Ledger
from dagster_tiktok.models import Unit, UnitState
from dagster_tiktok.tasks import for_each

LEASE_POLL_SECONDS = 1.0
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class ClaimScope:
    """Which units a run may claim: what is due on `partition_date` or before, at most `limit`.

    The database decides which day it is, and so what may still be scraped.
    """

    partition_date: date
    limit: int

    def without_limit(self) -> ClaimScope:
        """For the stages after the scrape: a run finishes everything that it has scraped."""
        return replace(self, limit=_NO_LIMIT)


class Claims:
    """The due units in one state, claimed chunk by chunk up to the limit of `scope`.

    If another run holds some of them, this waits for as long as a lease lasts. If that run died,
    its leases end by then. If it is alive, it renews them and keeps the units.
    """

    def __init__(self, ledger: Ledger, state: UnitState, scope: ClaimScope, *, chunk: int) -> None:
        self.expired = 0
        self.claimed = 0
        self.left_to_others = 0
        self._ledger = ledger
        self._state = state
        self._scope = scope
        self._chunk = chunk

    async def chunks(self) -> AsyncIterator[Sequence[Unit]]:
        waiting_until = time.monotonic() + self._ledger.lease_seconds + 2 * LEASE_POLL_SECONDS
        while self.claimed < self._scope.limit:
            claimed = await self._ledger.claim(
                self._state,
                due_date=self._scope.partition_date,
                limit=min(self._chunk, self._scope.limit - self.claimed),
            )
            self.expired += claimed.expired
            self.claimed += len(claimed.units)
            if claimed.units:
                yield claimed.units
            elif claimed.expired:
                continue  # a call expires only so many units; there may be more
            elif claimed.leased and time.monotonic() < waiting_until:
                await asyncio.sleep(LEASE_POLL_SECONDS)
            else:
                self.left_to_others = claimed.leased
                return

    async def each(self, work: Callable[[Unit], Awaitable[None]], *, concurrency: int) -> None:
        """Runs `work` on every claimed unit, at most `concurrency` at a time.

        The next chunk is claimed while the last one is worked on. The first exception of a
        worker ends all of them and is raised.
        """
        ahead = max(concurrency, self._chunk // 2)
        await for_each(self._units(), work, concurrency=concurrency, ahead=ahead)

    async def _units(self) -> AsyncIterator[Unit]:
        async for chunk in self.chunks():
            for unit in chunk:
                yield unit
