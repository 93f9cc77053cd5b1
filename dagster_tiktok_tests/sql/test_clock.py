"""Days are decided by the database's clock: no caller's can expire or open a daily scrape."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from postgrest.exceptions import APIError

from dagster_tiktok_tests.support.database import (
    NOON,
    TODAY,
    Database,
    new_batch,
    post,
    row,
    scraped,
)

TOMORROW, YESTERDAY = TODAY + timedelta(days=1), TODAY - timedelta(days=1)


def _with_daily_scrapes(db: Database) -> None:
    """A post of yesterday: the first of its five daily scrapes is due today."""
    db.set_clock(NOON - timedelta(days=1))
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    page = post("1", at=NOON - timedelta(days=1))
    db.take_through({unit["id"]: (page, [])}, batch=batch)
    db.set_clock(NOON)


@pytest.mark.parametrize(
    ("caller_says", "slots"),
    [
        (TOMORROW, [1]),  # a day ahead: today's scrape is not over, and tomorrow's not due
        (TODAY, [1]),
        (YESTERDAY, []),  # a day behind, or a run for that day: nothing of it is left
    ],
)
def test_a_caller_with_another_day_expires_nothing(
    db: Database, caller_says: date, slots: list[int]
) -> None:
    _with_daily_scrapes(db)

    claimed = db.claim("pending", batch=new_batch(), due=caller_says)
    owed = db.unfinished(due_date=caller_says.isoformat(), limit=9)

    assert (claimed["expired"], [unit["slot"] for unit in claimed["units"]]) == (0, slots)
    assert owed["count"] == len(slots)


def test_opened_rows_are_due_on_the_databases_day(db: Database) -> None:
    for zone, day in (("Pacific/Kiritimati", TOMORROW), ("Pacific/Pago_Pago", TODAY)):
        given = {
            "source": "s",
            "batch_id": new_batch(),
            "timezone": zone,
            "read_at": NOON.isoformat(),
        }
        # What a caller says beside that is not asked for.
        db.call("open_units", **given, due_date="2031-01-01", rows=[row(zone)])
        opened = db.one(f"select due_date from public.scrape_units where source_key = '{zone}'")
        assert opened == {"due_date": day.isoformat()}


@pytest.mark.parametrize(
    ("recorded_at", "outcome"),
    [
        (datetime(2026, 3, 10, 23, 59, 30, tzinfo=NOON.tzinfo), "scraped"),
        (datetime(2026, 3, 11, 0, 0, 30, tzinfo=NOON.tzinfo), "expired"),
    ],
)
def test_the_databases_midnight_ends_the_day_of_a_daily_scrape(
    db: Database, recorded_at: datetime, outcome: str
) -> None:
    _with_daily_scrapes(db)
    batch = new_batch()
    (daily,) = db.claimed("pending", batch=batch)

    db.set_clock(recorded_at)
    db.scrape(scraped(daily["id"], post("1")), batch=batch)

    assert db.unit(daily["id"])["outcome"] == outcome


def test_a_page_with_a_future_time_counts_for_today(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.take_through({unit["id"]: (post("1", at=NOON + timedelta(days=3)), [])}, batch=batch)

    days = db.query("select captured_on, captured_at from public.post_metrics")
    daily = db.query("select due_date from public.scrape_units where slot > 0 order by slot")

    assert [day["captured_on"] for day in days] == [TODAY.isoformat()]
    assert [unit["due_date"] for unit in daily] == [
        (TODAY + timedelta(days=n)).isoformat() for n in range(1, 6)
    ]


@pytest.mark.parametrize(
    ("function", "given"),
    [
        ("database_clock", {}),
        (
            "open_units",
            {"source": "s", "batch_id": new_batch(), "read_at": NOON.isoformat(), "rows": []},
        ),
        ("record_scrapes", {"owner": new_batch(), "results": []}),
        ("unfinished_units", {"due_date": TODAY.isoformat(), "sources": []}),
        ("close_batch", {"batch_id": new_batch(), "sources": []}),
        (
            "claim_units",
            {
                "state": "pending",
                "sources": [],
                "due_date": TODAY.isoformat(),
                "owner": new_batch(),
                "claim_id": new_batch(),
                "limit": 1,
                "lease_seconds": 60,
            },
        ),
    ],
)
@pytest.mark.parametrize("zone", [{}, {"timezone": "Mars/Olympus"}])
def test_no_day_is_assumed_without_a_time_zone(
    db: Database, function: str, given: dict[str, Any], zone: dict[str, str]
) -> None:
    with pytest.raises(APIError, match=r"needs|not recognized|is not open"):
        db.call(function, **given, **zone, today=TODAY.isoformat())
