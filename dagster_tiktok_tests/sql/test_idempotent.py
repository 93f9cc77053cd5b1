"""Every call that writes may be sent twice: it is repeated when its response is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dagster_tiktok_tests.support.database import (
    CONTENTS,
    FAR,
    NOON,
    TODAY,
    Database,
    new_batch,
    post,
    row,
    scraped,
    slide,
)

DAY = TODAY.isoformat()
# A call that holds units says anew until when, and one that goes on holding them when it was.
RENEWED = {
    "open_batch": {"heartbeat_at"},
    "claim_units": {"lease_until", "updated_at", "heartbeat_at"},
    "extend_leases": {"lease_until", "updated_at", "heartbeat_at"},
    "record_slides": {"updated_at"},
}
# What the interface does not serve, and yet writes when its owner calls it.
PRIVATE = {"prune_audit_log", "prune_units"}


def _contents(db: Database, but: set[str]) -> dict[str, list[dict[str, Any]]]:
    return {
        table["name"]: [{k: v for k, v in row.items() if k not in but} for row in table["rows"]]
        for table in db.query(CONTENTS)
    }


class Twice:
    """Sends every call twice, and remembers which functions it has called."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.called: set[str] = set()

    def __call__(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Returns what the function said first."""
        renewed = RENEWED.get(function, set())
        before = _contents(self._db, set())
        call = self._db.call_private if function in PRIVATE else self._db.call
        returned = call(function, **arguments)
        assert _contents(self._db, set()) != before, f"{function} did nothing"
        after = _contents(self._db, renewed)

        call(function, **arguments)

        assert _contents(self._db, renewed) == after, f"{function} did something again"
        self.called.add(function)
        return returned

    def claim(self, state: str, batch: str) -> list[int]:
        when = {"state": state, "due_date": DAY, "timezone": "UTC", "sources": ["sheet"]}
        how = {"owner": batch, "claim_id": new_batch(), "limit": 10, "lease_seconds": 60}
        return [unit["id"] for unit in self("claim_units", **when, **how)["units"]]


def test_no_call_in_the_life_of_a_unit_changes_anything_when_repeated(db: Database) -> None:
    twice, batch = Twice(db), new_batch()
    rows = {"batch_id": batch, "timezone": "UTC", "source": "sheet", "rows": [row("a"), row("b")]}
    twice("open_batch", batch_id=batch, partition_date=DAY, run_id=batch)
    twice("open_units", **rows, read_at=NOON.isoformat())

    one, other = twice.claim("pending", batch)
    twice("extend_leases", owner=batch, lease_seconds=3600)
    failure = {"unit_id": other, "error_kind": "network", "error": "cut"}
    results = [scraped(one, post("1", slides=1)), {**failure, "result": "retry"}]
    twice("record_scrapes", owner=batch, timezone="UTC", results=results)

    assert twice.claim("scraped", batch) == [one]
    for result in ("progress", "stored"):
        stored = {"unit_id": one, "result": result, "slides": [slide("1", 1)]}
        twice("record_slides", owner=batch, results=[stored])

    assert twice.claim("stored", batch) == [one]
    twice("persist_units", owner=batch, unit_ids=[one], timezone="UTC")
    assert twice.claim("persisted", batch) == [one]
    twice("written_errors", found=["a" * 64], writing=["a" * 64, "b" * 64])
    twice("finish_units", owner=batch, results=[{"unit_id": one}])
    twice("open_units", **rows, read_at=FAR.isoformat())  # the finished one is ready again

    heir = new_batch()
    db.pass_time(timedelta(hours=1))
    assert set(twice.claim("pending", heir)) == {one, other}
    twice("release_leases", owner=heir)
    twice("record_stage", batch_id=batch, stage="slide_files", metrics={"uploaded": 1})
    twice("close_batch", batch_id=batch, timezone="UTC", sources=["sheet"], limit=10, error="")
    restored = slide("1", 1, picture="b", at=FAR)
    restored["replaces"] = slide("1", 1)["storage_path"]
    twice("repair_slides", bucket="x", tiktok_id="1", slides=[restored], slide_count=1)
    db.execute("update public.audit_log set changed_at = now() - interval '40 days'")
    twice("prune_audit_log", keep_days=39)
    db.execute(
        "update public.scrape_units set state = 'done', outcome = 'scraped', details = null, "
        "post = null, slides = null, claim_id = null, leased_by = null, lease_until = null, "
        "finished_at = private.current_instant() - interval '400 days'"
    )
    twice("prune_units", keep_days=365)

    writing = db.query(
        "select proname as name from pg_catalog.pg_proc "
        "where pronamespace::regnamespace::text in ('public', 'private') "
        "and proname not in ('test_sql', 'sandbox_clock') and provolatile = 'v' "
        "and proargtypes::text = 'jsonb'::regtype::oid::text"
    )
    assert twice.called == {function["name"] for function in writing}
