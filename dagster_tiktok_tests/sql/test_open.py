"""Opening units from the rows of the sheet, again and again, while VAs correct them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dagster_tiktok_tests.support.database import (
    FAR,
    NOON,
    Database,
    new_batch,
    post,
    row,
    scraped,
    slide,
)


def _states(db: Database) -> list[tuple[str, int, str, str | None]]:
    rows = db.query("select * from public.scrape_units order by source_key, slot")
    return [(r["source_key"], r["slot"], r["state"], r["outcome"]) for r in rows]


def _finish(db: Database, *keys: str, tiktok_id: str = "1") -> None:
    """Opens and finishes units, without daily scrapes."""
    batch = new_batch()
    db.open(*(row(key) for key in keys), batch=batch)
    units = db.claimed("pending", batch=batch)
    db.take_through({u["id"]: (post(tiktok_id), []) for u in units}, batch=batch)
    db.execute("delete from public.scrape_units where slot > 0")


def test_opening_rows_twice_makes_one_unit_each(db: Database) -> None:
    batch = new_batch()
    rows = [row("a", tiktok_id="11"), row("b", problems=["no address", "bad type"])]

    first = db.open(*rows, batch=batch)
    second = db.open(*rows, batch=new_batch())

    assert first == {"opened": 2, "reopened": 0, "updated": 0, "already_open": 0}
    assert second == {"opened": 0, "reopened": 0, "updated": 0, "already_open": 2}
    a, b = db.query("select * from public.scrape_units order by source_key")
    assert (a["state"], a["outcome"], a["tiktok_id"], a["batch_id"]) == (
        "pending",
        None,
        "11",
        batch,
    )
    assert a["details"]["set_id"] == 7
    assert (b["state"], b["outcome"], b["error_kind"]) == (
        "persisted",
        "unavailable",
        "invalid_row",
    )
    assert b["error"] == "no address; bad type"


def test_the_first_row_of_a_duplicate_key_wins(db: Database) -> None:
    opened = db.open(row("a", va="First"), row("a", va="Second"), batch=new_batch())

    assert opened["opened"] == 1
    assert db.one("select * from public.scrape_units")["details"]["va"] == "First"


def test_opening_no_rows_changes_nothing(db: Database) -> None:
    assert db.open(batch=new_batch()) == {
        "opened": 0,
        "reopened": 0,
        "updated": 0,
        "already_open": 0,
    }


def test_a_finished_unit_is_reopened_when_its_row_is_ready_again(db: Database) -> None:
    _finish(db, "a")

    stale = db.open(row("a"), batch=new_batch(), read_at=NOON - timedelta(days=3650))
    assert stale == {"opened": 0, "reopened": 0, "updated": 0, "already_open": 0}
    assert _states(db) == [("a", 0, "done", "scraped")]

    again = db.open(row("a", va="Ben"), batch=new_batch(), read_at=FAR)
    assert again == {"opened": 0, "reopened": 1, "updated": 0, "already_open": 0}
    unit = db.one("select * from public.scrape_units")
    assert (unit["state"], unit["outcome"], unit["attempts"]) == ("pending", None, 0)
    assert (unit["finished_at"], unit["post"], unit["details"]["va"]) == (None, None, "Ben")
    assert unit["tiktok_id"] == "1"  # a short link that was resolved stays resolved


def test_a_corrected_row_rewrites_a_unit_without_a_lease(db: Database) -> None:
    db.open(row("a"), row("b", problems=["bad type"]), row("c"), batch=new_batch())
    db.claim("pending", batch=new_batch(), limit=1)  # a is being worked on

    returned = db.open(row("a", va="Ben"), row("b"), row("c", va="Cy"), batch=new_batch())

    assert returned == {"opened": 0, "reopened": 0, "updated": 2, "already_open": 1}
    assert _states(db) == [(key, 0, "pending", None) for key in "abc"]
    details = db.query("select details ->> 'va' as va from public.scrape_units order by source_key")
    assert [d["va"] for d in details] == ["Ann", "Ann", "Cy"]


def _failed_unit(db: Database, state: str) -> dict[str, Any]:
    """A carousel whose unit failed once in that state and has no lease; returns the unit."""
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.scrape(scraped(unit["id"], post("1", slides=1)), batch=batch)
    db.claim("scraped", batch=batch)
    if state == "stored":
        stored = {"unit_id": unit["id"], "result": "stored", "slides": [slide("1", 1)]}
        db.store(stored, batch=batch)
        db.claim("stored", batch=batch)
    db.fail(state, unit["id"], batch=batch)
    failed = db.unit(unit["id"])
    assert (failed["state"], failed["attempts"]) == (state, 1)
    return failed


@pytest.mark.parametrize("state", ["scraped", "stored"])
def test_a_unit_in_progress_takes_the_details_of_its_corrected_row(
    db: Database, state: str
) -> None:
    before, batch = _failed_unit(db, state), new_batch()

    same = db.open(row("a"), batch=batch)
    first = db.open(row("a", set_id=8), batch=batch)
    second = db.open(row("a", set_id=8), batch=new_batch())

    assert (same["updated"], same["already_open"]) == (0, 1)
    assert first == {"opened": 0, "reopened": 0, "updated": 1, "already_open": 0}
    assert second == {"opened": 0, "reopened": 0, "updated": 0, "already_open": 1}
    after = db.unit(before["id"])
    assert after["details"] == {**before["details"], "set_id": 8}
    new = {
        "attempts": 0,
        "counted_at": None,
        "next_try_at": None,
        "failed_batch_id": None,
        "error_kind": None,
        "error": None,
    }
    assert {name: after[name] for name in new} == new
    assert after["batch_id"] == batch
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {*new, "details", "batch_id", "updated_at"}
    assert after["post"] is not None and (after["slides"] is not None) == (state == "stored")


def test_a_gone_post_keeps_its_reason_when_its_row_is_corrected(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    gone = {"unit_id": unit["id"], "result": "unavailable"}
    db.scrape({**gone, "error_kind": "deleted", "error": "It was deleted."}, batch=batch)

    assert db.open(row("a", va="Ben"), batch=new_batch())["updated"] == 1

    after = db.unit(unit["id"])
    assert (after["state"], after["outcome"], after["details"]["va"]) == (
        "stored",
        "unavailable",
        "Ben",
    )
    assert (after["error_kind"], after["error"]) == ("deleted", "It was deleted.")


@pytest.mark.parametrize("state", ["scraped", "stored"])
def test_a_unit_in_progress_is_only_written_back_when_its_row_becomes_wrong(
    db: Database, state: str
) -> None:
    unit = _failed_unit(db, state)

    returned = db.open(row("a", problems=["bad type"]), batch=new_batch())

    assert returned == {"opened": 0, "reopened": 0, "updated": 1, "already_open": 0}
    after = db.unit(unit["id"])
    wrong = ("persisted", "unavailable", "invalid_row", "bad type")
    assert (after["state"], after["outcome"], after["error_kind"], after["error"]) == wrong
    assert (after["post"], after["slides"], after["is_carousel"]) == (None, None, False)
    assert (after["attempts"], after["tiktok_id"]) == (0, "1")


def test_a_corrected_row_does_not_change_a_leased_unit(db: Database) -> None:
    unit = _failed_unit(db, "stored")
    db.pass_time(timedelta(hours=1))
    db.claim("stored", batch=new_batch())
    before = db.unit(unit["id"])

    corrected = db.open(row("a", va="Ben"), batch=new_batch())
    broken = db.open(row("a", problems=["bad type"]), batch=new_batch())

    assert (corrected["updated"], broken["updated"]) == (0, 0)
    assert db.unit(unit["id"]) == before
