"""What came of a unit's work: who may say so, and what it changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from postgrest.exceptions import APIError

from dagster_tiktok_tests.support.database import (
    TODAY,
    Database,
    new_batch,
    post,
    row,
    scraped,
    slide,
)


def _claimed(db: Database, batch: str, *keys: str) -> list[int]:
    db.open(*(row(key) for key in keys), batch=batch)
    return [unit["id"] for unit in db.claimed("pending", batch=batch)]


def test_recording_a_page_twice_changes_nothing(db: Database) -> None:
    batch = new_batch()
    (unit,) = _claimed(db, batch, "a")

    assert db.scrape(scraped(unit, post("1", slides=1)), batch=batch) == {
        "recorded": 1,
        "ignored": [],
    }
    before = db.unit(unit)
    assert db.scrape(scraped(unit, post("2")), batch=batch) == {"recorded": 0, "ignored": [unit]}

    assert db.unit(unit) == before
    assert (before["state"], before["outcome"], before["tiktok_id"]) == ("scraped", "scraped", "1")
    assert (before["is_carousel"], before["leased_by"]) == (True, None)


def test_only_the_write_back_is_left_for_a_gone_post(db: Database) -> None:
    batch = new_batch()
    (unit,) = _claimed(db, batch, "a")

    gone = {"unit_id": unit, "result": "unavailable", "tiktok_id": "1"}
    db.scrape({**gone, "error_kind": "deleted", "error": "The post was deleted."}, batch=batch)
    db.claim("stored", batch=batch)
    written = db.persist(unit, batch=batch)

    assert written["persisted"] == 1 and written["posts_written"] == 0
    after = db.unit(unit)
    assert (after["state"], after["outcome"], after["error_kind"]) == (
        "persisted",
        "unavailable",
        "deleted",
    )
    assert after["tiktok_id"] == "1"
    assert db.query("select * from public.tiktok_posts") == []


def test_a_daily_scrape_that_is_recorded_after_midnight_expires(db: Database) -> None:
    batch = new_batch()
    (unit,) = _claimed(db, batch, "a")
    db.take_through({unit: (post("1"), [])}, batch=batch)
    tomorrow = TODAY + timedelta(days=1)
    (daily,) = db.claimed("pending", batch=batch, today=tomorrow)

    db.scrape(scraped(daily["id"], post("1")), batch=batch, today=TODAY + timedelta(days=2))

    after = db.unit(daily["id"])
    assert (after["state"], after["outcome"], after["post"]) == ("done", "expired", None)
    assert db.post("1")["day1_views"] is None


def test_the_id_of_a_resolved_link_is_kept_when_the_page_fails(db: Database) -> None:
    batch = new_batch()
    (unit,) = _claimed(db, batch, "a")
    failure = {"unit_id": unit, "result": "retry", "error_kind": "network", "error": "cut"}

    db.scrape({**failure, "tiktok_id": "77"}, batch=batch)

    after = db.unit(unit)
    assert (after["state"], after["attempts"], after["tiktok_id"]) == ("pending", 1, "77")
    assert (after["failed_batch_id"], after["leased_by"]) == (batch, None)


@pytest.mark.parametrize(("counted", "attempts"), [(False, 0), (True, 1), (None, 1)])
def test_an_uncounted_rejection_leaves_the_attempts_unchanged(
    db: Database, counted: bool | None, attempts: int
) -> None:
    batch, heir = new_batch(), new_batch()
    (unit,) = _claimed(db, batch, "a")
    rejection = {"unit_id": unit, "result": "retry", "error_kind": "blocked", "error": "challenge"}
    rejection["counted"] = counted

    db.scrape(rejection, batch=batch)
    page = db.unit(unit)
    db.pass_time(timedelta(hours=1))
    assert db.claimed("pending", batch=batch) == []
    db.claim("pending", batch=heir)
    db.scrape(scraped(unit, post("1", slides=1)), batch=heir)
    db.claim("scraped", batch=heir)
    db.store(rejection, batch=heir)
    slides = db.unit(unit)

    assert (page["state"], page["attempts"], page["failed_batch_id"]) == (
        "pending",
        attempts,
        batch,
    )
    assert (slides["state"], slides["attempts"], slides["failed_batch_id"]) == (
        "scraped",
        attempts,
        heir,
    )
    assert (slides["error_kind"], slides["leased_by"]) == ("blocked", None)


def _fail(db: Database, state: str, unit: int) -> None:
    """One failed try of the stage, by a batch of its own."""
    batch = new_batch()
    db.claim(state, batch=batch)
    db.fail(state, unit, batch=batch)
    assert db.unit(unit)["attempts"] == 1
    db.pass_time(timedelta(hours=1))


def test_attempts_start_again_in_the_next_stage(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    unit = db.one("select id from public.scrape_units")["id"]

    _fail(db, "pending", unit)
    db.claim("pending", batch=batch)
    db.scrape(scraped(unit, post("1", slides=1)), batch=batch)
    assert (db.unit(unit)["state"], db.unit(unit)["attempts"]) == ("scraped", 0)

    _fail(db, "scraped", unit)
    db.claim("scraped", batch=batch)
    db.store({"unit_id": unit, "result": "progress", "slides": []}, batch=batch)
    assert db.unit(unit)["attempts"] == 1  # the stage is not through yet
    db.store({"unit_id": unit, "result": "stored", "slides": [slide("1", 1)]}, batch=batch)
    assert (db.unit(unit)["state"], db.unit(unit)["attempts"]) == ("stored", 0)

    _fail(db, "stored", unit)
    db.claim("stored", batch=batch)
    db.persist(unit, batch=batch)
    assert (db.unit(unit)["state"], db.unit(unit)["attempts"]) == ("persisted", 0)


def test_attempts_start_again_when_the_post_is_gone(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    unit = db.one("select id from public.scrape_units")["id"]
    _fail(db, "pending", unit)
    db.claim("pending", batch=batch)

    gone = {"unit_id": unit, "result": "unavailable", "error_kind": "deleted", "error": "gone"}
    db.scrape(gone, batch=batch)

    assert (db.unit(unit)["state"], db.unit(unit)["attempts"]) == ("stored", 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"result": "scraped", "unit_id": 1, "tiktok_id": "1"},
        {"result": "scraped", "unit_id": 1, "tiktok_id": "1", "post": []},
        {"result": "maybe", "unit_id": 1},
        {"result": "retry"},
    ],
)
def test_an_empty_result_is_not_accepted(db: Database, wrong: dict[str, Any]) -> None:
    with pytest.raises(APIError, match="record_scrapes needs"):
        db.scrape(wrong, batch=new_batch())


def test_stored_slides_are_kept_when_others_fail(db: Database) -> None:
    batch, heir = new_batch(), new_batch()
    (unit,) = _claimed(db, batch, "a")
    db.scrape(scraped(unit, post("1", slides=2)), batch=batch)
    db.claim("scraped", batch=batch)

    db.store({"unit_id": unit, "result": "progress", "slides": [slide("1", 1)]}, batch=batch)
    assert db.unit(unit)["leased_by"] == batch
    db.store(
        {"unit_id": unit, "result": "retry", "error_kind": "cdn", "error": "slide 2: 403"},
        batch=batch,
    )

    db.pass_time(timedelta(hours=1))
    assert db.claimed("scraped", batch=batch) == []
    (again,) = db.claimed("scraped", batch=heir)
    assert [s["slide_number"] for s in again["slides"]] == [1]
    fresh = post("1", slides=2, description="fresh")
    db.store(
        {
            "unit_id": unit,
            "result": "stored",
            "slides": [slide("1", 1), slide("1", 2)],
            "post": fresh,
        },
        batch=heir,
    )
    after = db.unit(unit)
    assert (after["state"], after["attempts"], after["error"]) == ("stored", 0, None)
    assert after["post"]["description"] == "fresh"


def test_results_of_another_lease_or_state_are_ignored(db: Database) -> None:
    batch, other = new_batch(), new_batch()
    (unit,) = _claimed(db, batch, "a")
    before = db.unit(unit)

    assert db.scrape(scraped(unit, post("1")), batch=other)["ignored"] == [unit]
    stored = {"unit_id": unit, "result": "stored", "slides": []}
    assert db.store(stored, batch=batch) == {"recorded": 0, "ignored": [unit]}
    assert db.persist(unit, 999, batch=batch)["ignored"] == [unit, 999]
    finished = db.call("finish_units", owner=batch, results=[{"unit_id": unit}])
    assert finished == {"finished": 0, "ignored": [unit]}
    assert db.unit(unit) == before


def test_a_finished_unit_has_no_payload(db: Database) -> None:
    batch = new_batch()
    (unit,) = _claimed(db, batch, "a")
    db.take_through({unit: (post("1"), [])}, batch=batch, to="persisted")
    db.claim("persisted", batch=batch)
    results = [{"unit_id": unit, "note": "the row is gone"}]

    first = db.call("finish_units", owner=batch, results=results)
    second = db.call("finish_units", owner=batch, results=results)

    assert (first, second) == (
        {"finished": 1, "ignored": []},
        {"finished": 0, "ignored": [unit]},
    )
    after = db.unit(unit)
    assert (after["state"], after["note"]) == ("done", "the row is gone")
    assert (after["details"], after["post"], after["slides"]) == (None, None, None)
    assert after["finished_at"] is not None


def test_the_reason_for_the_va_stays_when_the_row_cannot_be_written_back(db: Database) -> None:
    batch = new_batch()
    db.open(row("a", problems=["bad type"]), batch=batch)
    (unit,) = db.claimed("persisted", batch=batch)

    results = [{"unit_id": unit["id"], "note": "F2 is protected", "waits": True}]
    assert db.call("finish_units", owner=batch, results=results) == {"finished": 1, "ignored": []}

    assert db.claimed("persisted", batch=batch) == []
    (again,) = db.claimed("persisted", batch=new_batch())
    assert (again["error_kind"], again["error"], again["attempts"]) == (
        "invalid_row",
        "bad type",
        0,
    )
    assert db.unit(unit["id"])["note"] == "F2 is protected"
