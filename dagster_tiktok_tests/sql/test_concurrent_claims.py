"""Eight workers at once, one of which dies: no unit is lost, none is worked on twice."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from threading import Barrier
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from dagster_tiktok_tests.support.database import FAR, LATEST, new_batch, post, row, scraped

WORKERS = 8
ROUNDS = 100
UNITS = 32
LIMIT = 2
LEASE_SECONDS = 0.2
STAGES = ("pending", "persisted")
WAYS_TO_DIE = ("while it claims", "while it works", "while it records")
STUCK_SECONDS = 240  # nobody waits for a worker that is dead, or busy
OPTIONS = f"-c role=service_role -c lock_timeout={STUCK_SECONDS}s"


@dataclass
class Lease:
    """A unit in a worker's hands, by the database's clock, until it is written or takes too long.

    It begins after the claim and ends before the write: of two leases in turn, each as short as
    it may be, an overlap is a unit in two hands.
    """

    unit: int
    start: datetime
    end: datetime
    is_written_back: bool = False


class Worker:
    """A batch with a connection of its own and the rights of the secret key."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg.connect(url, options=OPTIONS)

    def close(self) -> None:
        self._connection.close()

    def work(self, stage: str, barrier: Barrier, death: str | None) -> list[Lease]:
        """Claims and writes until nothing is left, or until it dies with units in its hands."""
        batch = new_batch()
        barrier.wait(STUCK_SECONDS)
        held = self._claim(batch, stage)
        assert len(held) == LIMIT
        if death != "while it claims":
            self._connection.commit()
        barrier.wait(STUCK_SECONDS)  # everybody holds something
        if death is not None:
            if death == "while it records":
                self._write(batch, stage, held)
            if death != "while it works":  # there, it is only never heard of again
                self._be_killed()
            return [] if death == "while it claims" else held

        leases, deadline = list(held), time.monotonic() + STUCK_SECONDS
        while held or self._left(stage):
            answered = self._write(batch, stage, held)
            self._connection.commit()
            for lease in held:
                if lease.unit in answered:
                    lease.is_written_back, lease.end = True, min(lease.end, answered[lease.unit])
            held = self._claim(batch, stage)
            self._connection.commit()
            leases += held
            if not held:
                assert time.monotonic() < deadline, "the dead worker's units do not come back"
                time.sleep(0.01)
        return leases

    def _claim(self, batch: str, stage: str) -> list[Lease]:
        claim = self._call(
            "claim_units",
            state=stage,
            due_date=LATEST.isoformat(),
            timezone="UTC",
            sources=["sheet"],
            owner=batch,
            claim_id=new_batch(),
            limit=LIMIT,
            lease_seconds=LEASE_SECONDS,
        )
        held = self._connection.execute(
            "select id, clock_timestamp(), lease_until from public.scrape_units "
            "where id = any (%s)",
            [[unit["id"] for unit in claim["units"]]],
        )
        return [Lease(*values) for values in held]

    def _write(self, batch: str, stage: str, held: list[Lease]) -> dict[int, datetime]:
        """Returns which units were written, and the time before."""
        before = self._connection.execute("select clock_timestamp()").fetchone()
        assert before is not None
        units = [lease.unit for lease in held]
        if stage == "pending":
            results = [scraped(unit, post(str(unit))) for unit in units]
            said = self._call("record_scrapes", owner=batch, timezone="UTC", results=results)
        else:
            results = [{"unit_id": unit} for unit in units]
            said = self._call("finish_units", owner=batch, results=results)
        return {unit: before[0] for unit in units if unit not in said["ignored"]}

    def _left(self, stage: str) -> bool:
        left = self._connection.execute(
            "select from public.scrape_units where state = %s limit 1", [stage]
        )
        self._connection.commit()
        return left.rowcount > 0

    def _call(self, function: str, **arguments: Any) -> dict[str, Any]:
        name = psycopg.sql.Identifier(function)
        call = psycopg.sql.SQL("select public.{}(%s)").format(name)
        said = self._connection.execute(call, [Jsonb(arguments)]).fetchone()
        assert said is not None
        returned: dict[str, Any] = said[0]
        return returned

    def _be_killed(self) -> None:
        with psycopg.connect(self._url) as other:
            other.execute("select pg_terminate_backend(%s)", [self._connection.info.backend_pid])
        self._connection.close()
        self._connection = psycopg.connect(self._url, options=OPTIONS)


def _open(url: str, stage: str, number: int) -> list[int]:
    """Opens units that are in that state; returns them."""
    problems = ["no address"] if stage == "persisted" else []
    rows = [row(f"{number}-{n}", problems=problems) for n in range(UNITS)]
    arguments = {"batch_id": new_batch(), "timezone": "UTC", "source": "sheet", "rows": rows}
    with psycopg.connect(url) as connection:
        connection.execute(
            "select public.open_units(%s)", [Jsonb({**arguments, "read_at": FAR.isoformat()})]
        )
        units = connection.execute("select id from public.scrape_units where state = %s", [stage])
        return [unit for (unit,) in units]


@pytest.mark.slow
def test_eight_workers_lose_no_unit_and_hold_none_twice_when_one_dies(postgres_url: str) -> None:
    with ExitStack() as stack:
        workers = [Worker(postgres_url) for _ in range(WORKERS)]
        for worker in workers:
            stack.callback(worker.close)
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS))
        for number in range(ROUNDS):
            stage, barrier = STAGES[number % len(STAGES)], Barrier(WORKERS)
            deaths: list[str | None] = [None] * WORKERS
            deaths[number % WORKERS] = WAYS_TO_DIE[number % len(WAYS_TO_DIE)]
            units = _open(postgres_url, stage, number)
            assert len(units) == UNITS

            done = pool.map(Worker.work, workers, [stage] * WORKERS, [barrier] * WORKERS, deaths)

            leases = sorted(
                (lease for leases in done for lease in leases),
                key=lambda lease: (lease.unit, lease.start),
            )
            answered = Counter(lease.unit for lease in leases if lease.is_written_back)
            assert answered == Counter(units), f"round {number}: lost or written twice"
            for earlier, later in pairwise(leases):
                assert earlier.unit != later.unit or earlier.end <= later.start, (
                    f"round {number}, unit {later.unit}: claimed while it was held"
                )
