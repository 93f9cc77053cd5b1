"""Posts that the database rejects: named, tried again, and at last written back to the sheet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from postgrest.exceptions import APIError

from dagster_tiktok_tests.support.database import (
    Database,
    ScrapePasses,
    new_batch,
    persist_first_scrapes,
    post,
    row,
    slide,
)


def test_a_rejected_post_is_named_and_the_others_are_written(db: Database) -> None:
    scrapes: ScrapePasses = {f"k{n}": (post(str(n)), [slide(str(n), 1)]) for n in range(10, 20)}
    scrapes["k12"] = (post("12", views="many"), [])
    scrapes["k15"] = (post("15", views=-1), [])
    scrapes["k17"] = (post("17"), [slide("17", 36)])
    scrapes["k18"] = (post("18", followers=10**30), [])

    batch, written, _ = persist_first_scrapes(db, scrapes, to="persisted")

    assert (written["persisted"], written["posts_written"], written["slides_written"]) == (6, 6, 6)
    failed = {entry["unit_id"]: entry["error"] for entry in written["failed"]}
    units = [db.unit(unit_id) for unit_id in failed]
    assert {unit["source_key"] for unit in units} == {"k12", "k15", "k17", "k18"}
    for unit in units:
        assert (unit["state"], unit["attempts"], unit["error_kind"]) == ("stored", 1, "not_written")
        assert unit["error"] == failed[unit["id"]]
        assert unit["failed_batch_id"] == batch and unit["leased_by"] is None
    assert db.one("select count(*) as n from public.tiktok_posts") == {"n": 6}
    assert db.one("select count(*) as n from public.scrape_units where slot = 5") == {"n": 6}


def test_no_post_is_blamed_for_a_missing_right(db: Database) -> None:
    scrapes: ScrapePasses = {f"k{n}": (post(str(n)), []) for n in range(10, 13)}
    db.execute("revoke insert on public.tiktok_posts from service_role")
    try:
        with pytest.raises(APIError, match="permission denied"):
            persist_first_scrapes(db, scrapes, to="persisted")
    finally:
        db.execute("grant insert on public.tiktok_posts to service_role")

    units = db.query("select state, attempts, post is null as lost from public.scrape_units")
    assert units == [{"state": "stored", "attempts": 0, "lost": False}] * 3


def _try_to_persist(db: Database, unit: int) -> tuple[str, dict[str, Any]]:
    batch = new_batch()
    assert [u["id"] for u in db.claimed("stored", batch=batch)] == [unit]
    return batch, db.persist(unit, batch=batch)


def test_the_row_of_a_post_that_is_rejected_five_times_gets_the_reason(db: Database) -> None:
    _, _, (unit,) = persist_first_scrapes(db, {"a": (post("1", views="x" * 400), [])}, to="stored")
    db.call("release_leases", owner=db.unit(unit)["leased_by"])

    for attempts, hours in ((1, 1), (2, 3), (3, 9), (4, 24)):
        _try_to_persist(db, unit)
        assert db.claimed("stored", batch=new_batch()) == []  # its next try is later
        db.pass_time(timedelta(hours=hours))
        refused = db.unit(unit)
        assert (refused["state"], refused["outcome"], refused["attempts"]) == (
            "stored",
            "scraped",
            attempts,
        )
    batch, written = _try_to_persist(db, unit)

    (failed,) = written["failed"]
    assert (written["persisted"], failed["unit_id"]) == (0, unit)
    ended = db.unit(unit)
    assert (ended["state"], ended["outcome"], ended["error_kind"]) == (
        "persisted",
        "unavailable",
        "not_written",
    )
    assert ended["error"] == failed["error"]
    start = "The database rejected the post: "
    assert ended["error"].startswith(start + "invalid input syntax")
    assert len(ended["error"]) == len(start) + 300
    assert (ended["attempts"], ended["leased_by"], ended["post"]) == (0, None, None)
    (claimed,) = db.claimed("persisted", batch=batch)  # by the same batch, in its next stage
    assert claimed["details"]["va"] == "Ann"
    finished = db.call("finish_units", owner=batch, results=[{"unit_id": unit}])
    assert finished == {"finished": 1, "ignored": []}
    assert db.unit(unit)["error"] == failed["error"]


def test_a_rejected_post_is_written_after_its_row_is_corrected(db: Database) -> None:
    page = post("1", slides=1)
    _, _, (unit,) = persist_first_scrapes(
        db, {"a": (page, [slide("1", 1)])}, to="stored", set_id=10**12
    )
    db.call("release_leases", owner=db.unit(unit)["leased_by"])
    _try_to_persist(db, unit)
    db.pass_time(timedelta(hours=1))
    _try_to_persist(db, unit)
    assert db.unit(unit)["error_kind"] == "not_written"

    db.open(row("a", set_id=12), batch=new_batch())
    _, written = _try_to_persist(db, unit)

    assert (written["persisted"], written["slides_written"], written["failed"]) == (1, 1, [])
    assert db.post("1")["set_id"] == 12


def test_a_page_of_another_post_is_not_written(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    page = post("1")
    db.take_through({unit["id"]: (page, [])}, batch=batch, to="stored")
    db.execute("update public.scrape_units set post = jsonb_set(post, '{tiktok_id}', '\"2\"')")

    written = db.persist(unit["id"], batch=batch)

    assert written["failed"][0]["error"].endswith(
        f"unit {unit['id']} holds the post 2 instead of 1"
    )


def test_no_post_is_blamed_for_a_failing_trigger_that_users_added(db: Database) -> None:
    # 25006 is what a full disk gives: a hosted project is read-only then.
    db.execute(
        "create function public.fail() returns trigger language plpgsql as "
        "$$ begin raise exception 'read-only' using errcode = '25006'; end $$; "
        "create trigger fail before insert on public.tiktok_posts "
        "for each row execute function public.fail()"
    )
    try:
        with pytest.raises(APIError, match="read-only"):
            persist_first_scrapes(db, {"a": (post("1"), [])}, to="persisted")
    finally:
        db.execute("drop function public.fail cascade")

    (unit,) = db.query("select state, attempts, error from public.scrape_units")
    assert unit == {"state": "stored", "attempts": 0, "error": None}
