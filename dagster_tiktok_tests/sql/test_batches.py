"""A batch's record: opened once, filled by its stages, closed with what is left to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from postgrest.exceptions import APIError

from dagster_tiktok.models import BatchSummary
from dagster_tiktok_tests.support.database import TODAY, Database, new_batch, post, row, slide


def _open(db: Database, batch: str) -> dict[str, Any]:
    return db.call(
        "open_batch",
        batch_id=batch,
        source_type="google_sheet",
        source_reference="https://sheet",
        partition_date=TODAY.isoformat(),
        run_id=batch,
    )


def test_opening_a_batch_twice_makes_one_row(db: Database) -> None:
    batch = new_batch()

    assert (_open(db, batch), _open(db, batch)) == ({"opened": True}, {"opened": False})

    record = db.one("select * from public.scraping_logs")
    assert (record["status"], record["partition_date"]) == ("running", TODAY.isoformat())
    assert record["batch_completed_at"] is None


def test_a_stage_that_runs_again_replaces_its_totals(db: Database) -> None:
    batch = new_batch()
    _open(db, batch)

    db.call("record_stage", batch_id=batch, stage="a", metrics={"x": 1, "y": 2})
    db.call("record_stage", batch_id=batch, stage="b", metrics={"z": 3})
    assert db.call("record_stage", batch_id=batch, stage="a", metrics={"x": 5}) == {}

    record = db.one("select metrics from public.scraping_logs")
    assert record["metrics"] == {"a": {"x": 5, "y": 2}, "b": {"z": 3}}
    with pytest.raises(APIError, match="is not open"):
        db.call("record_stage", batch_id=new_batch(), stage="a", metrics={})


def test_users_see_how_many_sheets_failed_and_not_why(db: Database) -> None:
    batch = new_batch()
    _open(db, batch)
    why = "the spreadsheet is not shared with robot@project.iam.gserviceaccount.com"
    db.call(
        "record_stage",
        batch_id=batch,
        stage="sheet_rows",
        metrics={"sheets_failed": 1},
        failures={"sheets_failed": {"sheet 2": why}},
    )

    summary = BatchSummary.model_validate(db.close_batch(batch_id=batch, limit=10))

    assert summary.sheets_failed == {"sheet 2": why}
    record = db.one("select metrics, failures, error_message from public.scraping_logs")
    assert record["metrics"] == {"sheet_rows": {"sheets_failed": 1}}
    assert record["failures"] == {"sheet_rows": {"sheets_failed": {"sheet 2": why}}}
    assert why in record["error_message"]
    # A stage that runs again, and could read it, takes its text back.
    db.call(
        "record_stage",
        batch_id=batch,
        stage="sheet_rows",
        metrics={},
        failures={"sheets_failed": {}},
    )
    assert db.close_batch(batch_id=batch, limit=10)["sheets_failed"] == {}


def test_a_batch_with_nothing_due_is_completed(db: Database) -> None:
    batch = new_batch()
    _open(db, batch)

    summary = BatchSummary.model_validate(db.close_batch(batch_id=batch, limit=10))

    assert (summary.status, summary.urls_processed, summary.unfinished) == ("completed", 0, 0)
    assert db.one("select error_message from public.scraping_logs") == {"error_message": None}


def test_metrics_and_errors_of_a_batch_show_every_outcome(db: Database) -> None:
    batch = new_batch()
    _open(db, batch)
    db.open(row("done"), row("retry"), row("bad", problems=["bad type"]), row("left"), batch=batch)
    by_key = {u["source_key"]: u["id"] for u in db.claimed("pending", batch=batch)}
    failure = {"unit_id": by_key["retry"], "result": "retry", "error_kind": "network"}
    db.scrape({**failure, "error": "cut"}, batch=batch)
    db.take_through({by_key["done"]: (post("1", slides=1), [slide("1", 1)])}, batch=batch)
    metrics = {"downloaded": 1, "uploaded": 1, "bytes": 5_000_000_000}
    db.call("record_stage", batch_id=batch, stage="slide_files", metrics=metrics)

    closed = db.close_batch(batch_id=batch, limit=10)

    summary = BatchSummary.model_validate(closed)
    assert (summary.status, summary.urls_processed, summary.succeeded) == ("partial", 4, 1)
    assert (summary.unavailable, summary.expired, summary.unfinished) == (0, 0, 3)
    assert (summary.slides_downloaded, summary.bytes_downloaded) == (1, 5_000_000_000)
    assert [(e.source_key, e.state, e.error_kind, e.error) for e in summary.errors] == [
        ("bad", "persisted", "invalid_row", "bad type"),
        ("left", "pending", None, None),
        ("retry", "pending", "network", "cut"),
    ]
    record = db.one("select * from public.scraping_logs")
    assert (record["status"], record["total_urls"], record["failed_scrapes"]) == ("partial", 4, 3)
    assert (record["carousel_posts_processed"], record["slides_uploaded"]) == (1, 1)
    assert record["error_message"] == (
        "3 due units are unfinished: invalid_row (1), network (1), pending (1)"
    )
    assert record["duration_seconds"] >= 0

    assert db.close_batch(batch_id=batch, limit=10) == closed
    assert db.one("select * from public.scraping_logs") == record


def test_a_batch_with_only_failures_failed(db: Database) -> None:
    batch = new_batch()
    _open(db, batch)
    db.open(row("a"), batch=batch)

    summary = db.close_batch(batch_id=batch, limit=0)

    assert (summary["status"], summary["unfinished"], summary["errors"]) == ("failed", 1, [])


def test_an_interrupted_batch_keeps_the_reason(db: Database) -> None:
    batch = new_batch()
    _open(db, batch)

    summary = db.close_batch(batch_id=batch, limit=5, error="The sheet is not shared.")

    assert summary["status"] == "failed"
    record = db.one("select error_message from public.scraping_logs")
    assert record == {"error_message": "The sheet is not shared."}


def test_a_batch_lists_a_row_that_could_not_be_written_back(db: Database) -> None:
    batch = new_batch()
    _open(db, batch)
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.take_through({unit["id"]: (post("1"), [])}, batch=batch, to="persisted")
    db.claim("persisted", batch=batch)
    note = {"unit_id": unit["id"], "note": "the row is gone from the sheet"}
    db.call("finish_units", owner=batch, results=[note])

    summary = BatchSummary.model_validate(db.close_batch(batch_id=batch, limit=5))

    assert (summary.status, summary.succeeded, summary.unfinished) == ("completed", 1, 0)
    assert [(e.source_key, e.outcome, e.error) for e in summary.errors] == [
        ("a", "scraped", "the row is gone from the sheet")
    ]


def test_a_batch_lists_expired_and_unavailable_units(db: Database) -> None:
    first, second = new_batch(), new_batch()
    db.open(row("a"), batch=first)
    (unit,) = db.claimed("pending", batch=first)
    db.take_through({unit["id"]: (post("1"), [])}, batch=first)
    later = TODAY + timedelta(days=2)
    db.call("open_batch", batch_id=second, partition_date=later.isoformat())
    (daily,) = db.claimed("pending", batch=second, today=later)
    gone = {"unit_id": daily["id"], "result": "unavailable", "error_kind": "deleted", "error": "x"}
    db.scrape(gone, batch=second, today=later)
    db.claim("stored", batch=second, today=later)
    db.persist(daily["id"], batch=second)
    db.claim("persisted", batch=second, today=later)
    db.call("finish_units", owner=second, results=[{"unit_id": daily["id"]}])

    summary = BatchSummary.model_validate(db.close_batch(batch_id=second, limit=10))

    assert (summary.urls_processed, summary.unavailable, summary.expired) == (2, 1, 1)
    assert (summary.unfinished, summary.status) == (0, "completed")
    assert [(e.slot, e.outcome) for e in summary.errors] == [(1, "expired"), (2, "unavailable")]


def test_due_units_are_counted_and_listed_up_to_the_limit(db: Database) -> None:
    batch = new_batch()
    db.open(*(row(key) for key in "abc"), batch=batch)
    db.claim("pending", batch=batch, limit=2)

    owed = db.unfinished(due_date=TODAY.isoformat(), limit=1)
    none = db.unfinished(due_date=(TODAY - timedelta(days=1)).isoformat(), limit=1)

    assert (owed["count"], owed["leased"]) == (3, 2)
    assert [unit["source_key"] for unit in owed["units"]] == ["a"]
    assert none == {"count": 0, "leased": 0, "waiting": 0, "units": []}


def _silent(db: Database, batch: str, *, seconds: int) -> None:
    db.execute(
        f"update public.scraping_logs set heartbeat_at = now() - interval '{seconds} seconds', "
        f"batch_started_at = now() - interval '{seconds + 60} seconds' "
        f"where batch_id = '{batch}'"
    )


def _record(db: Database, batch: str) -> dict[str, Any]:
    return db.one(f"select * from public.scraping_logs where batch_id = '{batch}'")


def test_the_next_run_closes_the_batch_of_a_killed_one_as_failed(db: Database) -> None:
    killed = new_batch()
    _open(db, killed)
    db.open(row("a"), row("b"), batch=killed)
    db.claim("pending", batch=killed)
    db.end_leases()
    _silent(db, killed, seconds=121)

    _open(db, new_batch())

    record = _record(db, killed)
    assert (record["status"], record["total_urls"], record["failed_scrapes"]) == ("failed", 2, 2)
    assert record["batch_completed_at"] == record["heartbeat_at"]
    assert record["duration_seconds"] == 60
    assert record["error_message"].startswith("The run was interrupted: its last heartbeat was at")


@pytest.mark.parametrize("sign", ["a short silence", "a lease", "renewed leases", "a claim"])
def test_another_run_leaves_the_batch_of_a_live_one_open(db: Database, sign: str) -> None:
    alive = new_batch()
    _open(db, alive)
    _silent(db, alive, seconds=90 if sign == "a short silence" else 3600)
    if sign == "a lease":
        db.open(row("a"), batch=alive)
        db.claim("pending", batch=alive)
        _silent(db, alive, seconds=3600)
    elif sign == "renewed leases":
        db.call("extend_leases", owner=alive, lease_seconds=60)
    elif sign == "a claim":
        db.claim("pending", batch=alive)

    _open(db, new_batch())

    assert _record(db, alive)["status"] == "running"


def test_no_other_run_changes_a_closed_batch(db: Database) -> None:
    closed = new_batch()
    _open(db, closed)
    db.close_batch(batch_id=closed, limit=10)
    _silent(db, closed, seconds=3600)
    before = _record(db, closed)

    _open(db, new_batch())

    assert _record(db, closed) == before


def test_a_run_that_was_only_disconnected_can_still_close_its_batch(db: Database) -> None:
    batch = new_batch()
    _open(db, batch)
    _silent(db, batch, seconds=3600)
    _open(db, new_batch())
    assert _record(db, batch)["status"] == "failed"

    db.close_batch(batch_id=batch, limit=10)

    record = _record(db, batch)
    assert (record["status"], record["error_message"]) == ("completed", None)
