"""The ledger's functions among six million looks: hosted Supabase ends a call after 8 seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from statistics import median
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.database_rows import TODAY

RUNS = 15
LEASE_SECONDS = 600


class _Ledger:
    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("set timezone = 'UTC'")
        self._connection.execute("set role service_role")
        self.owner = str(uuid4())

    def prune(self) -> dict[str, Any]:
        """What only the database's owner may call."""
        self._connection.execute("reset role")
        answer = self.call("prune_audit_log", schema="private", keep_days=365)
        self._connection.execute("set role service_role")
        return answer

    def call(self, function: str, *, schema: str = "public", **arguments: Any) -> dict[str, Any]:
        name = psycopg.sql.Identifier(schema, function)
        row = self._connection.execute(
            psycopg.sql.SQL("select {}(%s)").format(name), (json.dumps(arguments),)
        ).fetchone()
        answer: dict[str, Any] = row[0] if row else {}
        return answer

    def claim(self, limit: int, *, days_later: int = 0) -> dict[str, Any]:
        day = (TODAY + timedelta(days=days_later)).isoformat()
        self.call("sandbox_clock", to=f"{day}T12:00:00Z")
        return self.call(
            "claim_units",
            state="pending",
            due_date=day,
            timezone="UTC",
            sources=["benchmark"],
            owner=self.owner,
            claim_id=str(uuid4()),
            limit=limit,
            lease_seconds=LEASE_SECONDS,
        )

    def open(self, rows: int) -> dict[str, Any]:
        keys = [f"https://www.tiktok.com/@new/photo/{uuid4().int}" for _ in range(rows)]
        return self.call(
            "open_units",
            batch_id=self.owner,
            timezone="UTC",
            source="benchmark",
            read_at=(TODAY + timedelta(days=1)).isoformat(),
            rows=[{"source_key": key, "details": {"va_url": key}, "problems": []} for key in keys],
        )


def measure_ledger(url: str) -> None:
    """Prints how long each function takes, with several thousand looks due."""
    ledger = _Ledger(url)
    ledger.call("open_batch", batch_id=ledger.owner, partition_date=TODAY.isoformat())
    day = TODAY.isoformat()
    _report("open 500 rows", lambda: ledger.open(500))
    for limit in (1, 50, 250):
        _report(f"claim {limit} of those due", lambda limit=limit: ledger.claim(limit))  # type: ignore[misc]
    _report(
        "extend their leases",
        lambda: ledger.call("extend_leases", owner=ledger.owner, lease_seconds=LEASE_SECONDS),
    )
    owed = ledger.call(
        "unfinished_units", due_date=day, timezone="UTC", sources=["benchmark"], limit=100
    )["count"]
    _report(
        f"list 100 of {owed:,} unfinished units",
        lambda: ledger.call(
            "unfinished_units", due_date=day, timezone="UTC", sources=["benchmark"], limit=100
        ),
    )
    _report(
        "close the batch",
        lambda: ledger.call(
            "close_batch", batch_id=ledger.owner, timezone="UTC", sources=["benchmark"], limit=100
        ),
    )
    _report(
        "give back all leases", lambda: ledger.call("release_leases", owner=ledger.owner), runs=1
    )
    # These two end a bounded number in a call, however many there are.
    _report("expire missed looks, claim one", lambda: ledger.claim(1, days_later=1), runs=1)
    _report(
        "remove old entries of the audit log",
        ledger.prune,
        runs=5,
    )


def _report(name: str, work: Callable[[], dict[str, Any]], *, runs: int = RUNS) -> None:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        answer = work()
        times.append(1000 * (time.perf_counter() - started))
    counts = {key: value for key, value in answer.items() if isinstance(value, int) and value > 0}
    print(
        f"{name:<44} {median(times):9.3f} ms   slowest: {max(times):9.3f} ms   "
        + ", ".join(f"{key} {value:,}" for key, value in counts.items())
    )
