"""Tries are spaced in time: how often runs start decides nothing about a post."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dagster_tiktok_tests.support.database import (
    NOON,
    TODAY,
    Database,
    new_batch,
    persist_first_scrapes,
    post,
    row,
    scraped,
)

FAILURE = {"result": "retry", "error_kind": "network", "error": "cut"}
MINUTE = timedelta(minutes=1)


def _try(db: Database, **failure: Any) -> list[int]:
    """One run: what it may claim fails. Returns the attempts before."""
    batch = new_batch()
    units = db.claimed("pending", batch=batch)
    db.scrape(*({"unit_id": u["id"], **FAILURE, **failure} for u in units), batch=batch)
    return [unit["attempts"] for unit in units]


def _one(db: Database) -> dict[str, Any]:
    return db.one("select * from public.scrape_units where state <> 'done'")


def test_a_post_is_tried_at_most_once_an_hour(db: Database) -> None:
    db.open(row("a"), batch=new_batch())
    tried = []
    for minutes in range(0, 5 * 60, 7):  # five hours
        if _try(db):
            tried.append(minutes)
        db.pass_time(7 * MINUTE)

    assert tried == [0, 63, 245]  # after an hour, after three more
    assert _one(db)["attempts"] == 3


def test_waits_grow_and_the_fifth_attempt_is_the_last(db: Database) -> None:
    db.open(row("a"), batch=new_batch())
    for hours in (1, 3, 9, 24):
        assert len(_try(db)) == 1
        db.pass_time(timedelta(hours=hours) - MINUTE)
        assert _try(db) == []
        db.pass_time(2 * MINUTE)

    (unit,) = db.claimed("pending", batch=new_batch())
    assert (unit["attempts"], unit["is_last_try"]) == (4, True)


@pytest.mark.parametrize(("attempts", "last"), [(3, False), (4, True)])
def test_the_claim_says_whether_this_attempt_is_the_last(
    db: Database, attempts: int, last: bool
) -> None:
    db.open(row("a"), batch=new_batch())
    db.execute(f"update public.scrape_units set attempts = {attempts}")

    assert db.claimed("pending", batch=new_batch())[0]["is_last_try"] is last


def test_a_rejection_that_is_not_the_posts_fault_spaces_nothing(db: Database) -> None:
    db.open(row("a"), batch=new_batch())

    assert [_try(db, counted=False) for _ in range(3)] == [[0], [0], [0]]
    assert _one(db)["next_try_at"] is None


def _at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 11, hour, minute, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("zone", "attempts", "fails_at", "next_at"),
    [
        ("UTC", 0, _at(2), _at(3)),
        ("UTC", 2, _at(12), _at(21)),
        ("UTC", 3, _at(12), _at(23, 30)),  # a day later would be too late
        ("UTC", 0, _at(23, 10), _at(23, 30)),
        ("UTC", 0, _at(23, 40), _at(23, 40) + timedelta(hours=1)),  # no other try in its day
        ("Europe/Berlin", 3, _at(12), _at(22, 30)),  # an hour ahead of UTC
        ("America/New_York", 3, _at(12), datetime(2026, 3, 12, 3, 30, tzinfo=timezone.utc)),
    ],
)
def test_a_failed_daily_scrape_is_retried_by_the_end_of_its_day(
    db: Database, zone: str, attempts: int, fails_at: datetime, next_at: datetime
) -> None:
    persist_first_scrapes(db, {"a": (post("1"), [])})
    db.execute(f"update public.scrape_units set attempts = {attempts} where slot = 1")
    db.set_clock(fails_at)
    batch = new_batch()
    (unit,) = [u for u in db.claimed("pending", batch=batch) if u["slot"] == 1]

    results = [{"unit_id": unit["id"], **FAILURE}]
    db.call("record_scrapes", owner=batch, timezone=zone, results=results)

    planned = datetime.fromisoformat(db.unit(unit["id"])["next_try_at"])
    assert abs(planned - next_at) < MINUTE


def test_an_hour_has_no_second_counted_attempt_at_the_end_of_the_day(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1"), [])})
    db.set_clock(_at(23, 10))
    assert _try(db) == [0]
    db.set_clock(_at(23, 31))
    batch = new_batch()
    (unit,) = db.claimed("pending", batch=batch)
    assert (unit["attempts"], unit["is_last_try"]) == (1, False)
    db.scrape({"unit_id": unit["id"], **FAILURE}, batch=batch)
    assert db.unit(unit["id"])["attempts"] == 1

    db.set_clock(_at(23, 50))
    assert _try(db) == []


@pytest.mark.parametrize("ready_again", [row("a", va="Ben"), row("a", problems=["bad type"])])
def test_a_waiting_post_is_tried_at_once_after_its_row_is_corrected(
    db: Database, ready_again: dict[str, Any]
) -> None:
    db.open(row("a"), batch=new_batch())
    _try(db)
    db.open(ready_again, batch=new_batch())

    assert (_one(db)["next_try_at"], _one(db)["counted_at"], _one(db)["attempts"]) == (
        None,
        None,
        0,
    )


def test_attempts_at_failing_slides_are_spaced_until_they_are_stored(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.scrape(scraped(unit["id"], post("1", slides=1)), batch=batch)
    for hours in (1, 3):
        run = new_batch()
        assert len(db.claimed("scraped", batch=run)) == 1
        db.store({"unit_id": unit["id"], **FAILURE}, batch=run)
        assert db.claimed("scraped", batch=new_batch()) == []
        db.pass_time(timedelta(hours=hours))
    run = new_batch()
    db.claim("scraped", batch=run)
    db.store({"unit_id": unit["id"], "result": "stored", "slides": []}, batch=run)

    after = db.unit(unit["id"])
    assert (after["state"], after["next_try_at"], after["counted_at"]) == ("stored", None, None)


def test_a_waiting_unit_is_unfinished_and_says_until_when(db: Database) -> None:
    batch = new_batch()
    db.call("open_batch", batch_id=batch, partition_date=TODAY.isoformat())
    db.open(row("a"), row("b"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch, limit=1)
    db.scrape({"unit_id": unit["id"], **FAILURE}, batch=batch)

    due = db.unfinished(due_date=TODAY.isoformat())
    summary = db.close_batch(batch_id=batch)

    assert (due["count"], due["waiting"]) == (summary["unfinished"], summary["waiting"]) == (2, 1)
    at = {u["source_key"]: u["next_try_at"] for u in due["units"]}
    assert at["b"] is None
    assert abs(datetime.fromisoformat(at["a"]) - NOON - timedelta(hours=1)) < MINUTE
    db.pass_time(timedelta(hours=2))
    assert db.unfinished(due_date=TODAY.isoformat())["waiting"] == 0
