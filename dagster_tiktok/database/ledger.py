"""The ledger of scrape units: a typed client of the database's functions.

Every method calls one SQL function (`sql/migrations`). It is one transaction and may be sent again:
a repeated call changes nothing. The database decides the state of each unit; this module only
calls it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from pydantic import BaseModel

from dagster_tiktok.database.functions import Database, DatabaseClock, open_database
from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.models import (
    BatchSummary,
    Post,
    RowRequest,
    StoredSlide,
    Unit,
    UnitState,
    WaitingElsewhere,
)
from dagster_tiktok.settings import Settings

LEASE_SECONDS = 30.0
_HASHES_PER_CALL = 5_000

log = logging.getLogger(__name__)


class OpenResult(BaseModel):
    """What became of the rows that were ready."""

    opened: int
    reopened: int
    updated: int
    already_open: int


class ClaimResult(BaseModel):
    """`expired` counts the daily units whose day had passed, `leased` the due units in the same
    state that other runs hold now."""

    units: tuple[Unit, ...]
    expired: int = 0
    leased: int = 0


class ScrapeResult(BaseModel):
    """The outcome of a scrape: `post` if scraped, else `error_kind` and `error`.

    `is_photo`: whether the post's URL is a /photo/ URL. `counted`: whether a failed attempt counts
    against the post.
    """

    unit_id: int
    result: Literal["scraped", "unavailable", "retry"]
    tiktok_id: str | None = None
    is_photo: bool = False
    post: Post | None = None
    error_kind: str | None = None
    error: str | None = None
    counted: bool = True


class SlidesResult(BaseModel):
    """The outcome of storing a post's slides: all of them, or some and an error.

    `counted`: whether a failed attempt counts against the post.
    """

    unit_id: int
    result: Literal["stored", "retry"]
    slides: tuple[StoredSlide, ...] = ()
    post: Post | None = None
    error_kind: str | None = None
    error: str | None = None
    counted: bool = True


class FailedUnit(BaseModel):
    unit_id: int
    error: str


class PersistResult(BaseModel):
    """`failed` lists the units that the database rejected, `not_tried` those for which the call had
    no time: they are still leased, and no attempt is counted. The others are written."""

    persisted: int = 0
    posts_written: int = 0
    slides_written: int = 0
    failed: tuple[FailedUnit, ...] = ()
    not_tried: tuple[int, ...] = ()


class WrittenErrors(BaseModel):
    """Hashes of error texts that the pipeline wrote."""

    known: tuple[str, ...]


class Elsewhere(BaseModel):
    """Rows of sheets that this deployment does not read."""

    sheets: tuple[WaitingElsewhere, ...]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Ledger:
    """The ledger as one batch sees it. Get one from `open_ledger`.

    Raises (every method):
        ServiceUnavailableError: the database does not respond, after all retries.
        ConfigurationError: the key is not accepted, or a migration is missing.
    """

    def __init__(
        self, database: Database, settings: Settings, owner: UUID, lease_seconds: float
    ) -> None:
        self.owner = owner
        self.lease_seconds = lease_seconds
        self._database = database
        self._call = database.call
        self._timezone = settings.pipeline_timezone
        self._sources = [sheet.source for sheet in settings.sheets]

    async def clock(self) -> DatabaseClock:
        """See `Database.clock`."""
        return await self._database.clock()

    def now(self) -> datetime:
        """See `Database.now`."""
        return self._database.now()

    async def open_batch(self, *, partition_date: date, source_reference: str, run_id: str) -> None:
        await self._call(
            "open_batch",
            batch_id=self.owner,
            source_type="google_sheet",
            source_reference=source_reference,
            partition_date=partition_date,
            run_id=run_id,
        )

    async def open_units(
        self, rows: Sequence[RowRequest], *, source: str, read_at: datetime
    ) -> OpenResult:
        """Opens a slot-0 unit for each ready row, due today by the database's clock.

        Arguments:
            source: the sheet of the rows (`SheetUrl.source`).
            read_at: `clock().now` from just before the sheet was read.
        """
        response = await self._call(
            "open_units",
            source=source,
            batch_id=self.owner,
            timezone=self._timezone,
            read_at=read_at,
            rows=rows,
        )
        return OpenResult.model_validate(response)

    async def claim(self, state: UnitState, *, due_date: date, limit: int) -> ClaimResult:
        """Leases up to `limit` units in `state` that are due on `due_date` or before."""
        response = await self._call(
            "claim_units",
            state=state,
            due_date=due_date,
            timezone=self._timezone,
            sources=self._sources,
            owner=self.owner,
            claim_id=uuid4(),
            limit=limit,
            lease_seconds=self.lease_seconds,
        )
        return ClaimResult.model_validate(response)

    async def record_scrapes(self, results: Iterable[ScrapeResult]) -> None:
        await self._call(
            "record_scrapes", owner=self.owner, timezone=self._timezone, results=list(results)
        )

    async def record_slides(self, results: Iterable[SlidesResult]) -> None:
        await self._call("record_slides", owner=self.owner, results=list(results))

    async def persist(self, unit_ids: Sequence[int]) -> PersistResult:
        """Writes the posts, slides and snapshots of the units in one transaction.

        Each call tries at least one unit, so calling again with `not_tried` terminates.
        """
        response = await self._call(
            "persist_units",
            owner=self.owner,
            unit_ids=list(unit_ids),
            timezone=self._timezone,
        )
        return PersistResult.model_validate(response)

    async def finish(
        self, notes: Mapping[int, str | None], *, waiting: Collection[int] = ()
    ) -> None:
        """Ends units by id, with a note if the sheet could not be written.

        Arguments:
            waiting: those whose rows still wait. They stay unfinished: later runs only try to
                write them back and do not scrape their posts again.
        """
        results = [
            {"unit_id": unit_id, "note": note, "waits": unit_id in waiting}
            for unit_id, note in notes.items()
        ]
        await self._call("finish_units", owner=self.owner, results=results)

    async def written_errors(
        self, found: Collection[str], writing: Collection[str]
    ) -> frozenset[str]:
        """Which of the texts `found` in the column `Error` the pipeline wrote, in any version.

        Also records the texts `writing`, so call it before they are written. Only hashes are sent.
        """
        hashes = {_hash(text): text for text in found}
        keys, new = list(hashes), [_hash(text) for text in writing]
        known: set[str] = set()
        # Usually one call. A sheet with thousands of different texts needs several, of which only
        # the last one records what is about to be written.
        last = max(len(keys) - 1, 0) // _HASHES_PER_CALL
        for number in range(last + 1):
            part = keys[number * _HASHES_PER_CALL : (number + 1) * _HASHES_PER_CALL]
            response = await self._call(
                "written_errors", found=part, writing=new if number == last else []
            )
            known.update(WrittenErrors.model_validate(response).known)
        return frozenset(hashes[item] for item in known & hashes.keys())

    async def record_stage(
        self, stage: str, metrics: dict[str, Any], failures: dict[str, Any] | None = None
    ) -> None:
        """Records a stage's totals in the batch's row of `scraping_logs`.

        Arguments:
            metrics: every signed-in user can read them.
            failures: error messages, which may quote servers, names and URLs.
        """
        await self._call(
            "record_stage",
            batch_id=self.owner,
            stage=stage,
            metrics=metrics,
            failures=failures or {},
        )

    async def elsewhere(self) -> tuple[WaitingElsewhere, ...]:
        """Rows that wait for sheets that the settings do not name."""
        response = await self._call("units_elsewhere", sources=self._sources)
        return Elsewhere.model_validate(response).sheets

    async def close_batch(
        self, *, error: str | None = None, error_limit: int = 100
    ) -> BatchSummary:
        """Writes the batch's totals. `error` is what ended it early, if anything."""
        response = await self._call(
            "close_batch",
            batch_id=self.owner,
            timezone=self._timezone,
            sources=self._sources,
            limit=error_limit,
            error=error,
        )
        return BatchSummary.model_validate(response)

    async def release(self) -> None:
        """Releases every unit that this batch holds, without counting an attempt."""
        await self._call("release_leases", owner=self.owner)

    async def keep_leases(self) -> None:
        """Renews the batch's leases until the task is cancelled."""
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            try:
                await self._call(
                    "extend_leases", owner=self.owner, lease_seconds=self.lease_seconds
                )
            except ServiceUnavailableError as error:
                # The next write fails with the same error and reports it. If a lease ends
                # meanwhile, another run may claim the units, and our results are ignored.
                log.warning("the leases could not be renewed: %s", error)


@asynccontextmanager
async def open_ledger(
    settings: Settings,
    *,
    owner: UUID,
    lease_seconds: float = LEASE_SECONDS,
    starting: bool = False,
) -> AsyncIterator[Ledger]:
    """Opens the ledger for one batch: checks the database first, releases leases at the end.

    A background task renews the leases, so a process that dies holds its units for at most
    `lease_seconds`.

    Arguments:
        starting: see `database.open_database`.
    """
    async with open_database(settings, starting=starting) as database:
        ledger = Ledger(database, settings, owner, lease_seconds)
        await ledger.clock()
        renewing = asyncio.create_task(ledger.keep_leases())
        try:
            yield ledger
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            await ledger.release()
