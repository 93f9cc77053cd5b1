"""Claiming units, and the leases that keep workers apart."""

from __future__ import annotations

from datetime import timedelta

from dagster_tiktok.models import Unit
from dagster_tiktok_tests.support.database import (
    FAR,
    TODAY,
    Database,
    new_batch,
    post,
    row,
    scraped,
    slide,
)

TOMORROW = TODAY + timedelta(days=1)


def _states(db: Database) -> list[tuple[str, int, str, str | None]]:
    rows = db.query("select * from public.scrape_units order by source_key, slot")
    return [(r["source_key"], r["slot"], r["state"], r["outcome"]) for r in rows]


def test_each_due_unit_is_claimed_by_one_batch_in_order(db: Database) -> None:
    one, two = new_batch(), new_batch()
    db.open(*(row(key) for key in "abcd"), batch=one)
    db.execute(
        f"update public.scrape_units set due_date = '{TODAY - timedelta(days=1)}' "
        "where source_key = 'd'"
    )
    db.execute(f"update public.scrape_units set due_date = '{TOMORROW}' where source_key = 'c'")

    first = db.claimed("pending", batch=one, limit=2)
    second = db.claim("pending", batch=two, limit=2)

    assert [u["source_key"] for u in first] == ["d", "a"]
    assert [u["source_key"] for u in second["units"]] == ["b"]
    assert second["leased"] == 2  # those of the other batch
    assert db.claim("pending", batch=one)["leased"] == 1
    assert Unit.model_validate(first[0]).known_slides == ()


def test_units_that_failed_before_are_claimed_last(db: Database) -> None:
    first = new_batch()
    db.open(*(row(key) for key in "abcd"), batch=first)
    db.execute(
        f"update public.scrape_units set due_date = '{TODAY - timedelta(days=1)}' "
        "where source_key in ('a', 'b')"
    )
    unreadable = db.claimed("pending", batch=first, limit=2)
    failure = {"result": "retry", "error_kind": "unreadable", "error": "no data in the page"}
    db.scrape(*({"unit_id": u["id"], **failure} for u in unreadable), batch=first)

    second, claim = new_batch(), new_batch()
    db.pass_time(timedelta(hours=1))
    chunk = db.claimed("pending", batch=second, limit=3, claim_id=claim)

    assert [u["source_key"] for u in unreadable] == ["a", "b"]
    assert [(u["source_key"], u["attempts"]) for u in chunk] == [("c", 0), ("d", 0), ("a", 1)]
    assert db.claimed("pending", batch=second, limit=3, claim_id=claim) == chunk
    assert [u["source_key"] for u in db.claimed("pending", batch=second)] == ["b"]


def test_a_claim_repeated_with_its_id_returns_the_same_units(db: Database) -> None:
    batch, claim = new_batch(), new_batch()
    db.open(*(row(key) for key in "abc"), batch=batch)

    first = db.claimed("pending", batch=batch, limit=2, claim_id=claim)
    again = db.claimed("pending", batch=batch, limit=2, claim_id=claim)

    assert again == first
    assert len(db.claimed("pending", batch=batch)) == 1


def test_another_worker_takes_over_when_a_lease_ends(db: Database) -> None:
    dead, heir = new_batch(), new_batch()
    db.open(row("a"), batch=dead)
    (unit,) = db.claimed("pending", batch=dead)
    assert db.claimed("pending", batch=heir) == []

    db.end_leases()
    assert [u["id"] for u in db.claimed("pending", batch=heir)] == [unit["id"]]

    late = db.scrape(scraped(unit["id"], post("1")), batch=dead)
    assert late == {"recorded": 0, "ignored": [unit["id"]]}
    assert db.call("extend_leases", owner=dead, lease_seconds=60) == {"extended": 0}
    assert db.unit(unit["id"])["batch_id"] == heir


def test_a_lease_can_be_extended_and_released(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), row("b"), batch=batch)
    db.claim("pending", batch=batch)
    db.end_leases()

    assert db.call("extend_leases", owner=batch, lease_seconds=60) == {"extended": 2}
    assert db.claimed("pending", batch=new_batch()) == []
    assert db.call("release_leases", owner=batch) == {"released": 2}
    assert db.call("release_leases", owner=batch) == {"released": 0}
    units = db.claimed("pending", batch=new_batch())
    assert [u["attempts"] for u in units] == [0, 0]


def test_a_failed_unit_is_claimed_only_by_another_batch(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    failure = {"unit_id": unit["id"], "result": "retry", "error_kind": "network", "error": "cut"}

    assert db.scrape(failure, batch=batch) == {"recorded": 1, "ignored": []}

    db.pass_time(timedelta(hours=1))
    assert db.claimed("pending", batch=batch) == []
    (again,) = db.claimed("pending", batch=new_batch())
    assert (again["attempts"], again["error_kind"], again["error"]) == (1, "network", "cut")


def test_daily_scrapes_are_claimed_only_on_their_day(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.take_through({unit["id"]: (post("1"), [])}, batch=batch)

    early = db.claim("pending", batch=new_batch(), today=TODAY, due=TOMORROW)
    assert early == {"units": [], "expired": 0, "leased": 0}

    claimed = db.claim("pending", batch=new_batch(), today=TODAY + timedelta(days=2))
    assert claimed["expired"] == 1
    assert [(u["slot"], u["tiktok_id"], u["details"]) for u in claimed["units"]] == [(2, "1", None)]
    assert _states(db)[0:2] == [("1", 1, "done", "expired"), ("1", 2, "pending", None)]


def test_each_claim_expires_a_bounded_number_of_missed_scrapes(db: Database) -> None:
    db.execute(
        "insert into public.scrape_units (source_key, slot, due_date, tiktok_id) "
        f"select n::text, 1, '{TODAY}', n::text from generate_series(1, 5001) as n"
    )
    later = TODAY + timedelta(days=3)

    calls = [db.claim("pending", batch=new_batch(), today=later)["expired"] for _ in range(3)]

    assert calls == [5000, 1, 0]
    (left,) = db.query("select count(*) as n from public.scrape_units where state <> 'done'")
    assert left == {"n": 0}


def test_the_post_is_completed_when_its_last_daily_scrape_expires(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.take_through({unit["id"]: (post("1"), [])}, batch=batch)

    claimed = db.claim("pending", batch=new_batch(), today=TODAY + timedelta(days=6))

    assert claimed["expired"] == 5
    assert db.post("1")["scrape_status"] == "completed"


def test_the_scrapes_of_a_paused_post_are_neither_claimed_nor_due(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.take_through({unit["id"]: (post("1"), [])}, batch=batch)
    db.execute("update public.tiktok_posts set scrape_status = 'paused'")

    assert db.claimed("pending", batch=new_batch(), today=TOMORROW) == []
    owed = db.unfinished(due_date=TOMORROW.isoformat(), limit=10)
    assert owed == {"count": 0, "leased": 0, "waiting": 0, "units": []}


def test_a_later_claim_returns_the_stored_slides(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    slides = [slide("1", 2), slide("1", 1)]
    db.take_through({unit["id"]: (post("1", slides=2), slides)}, batch=batch)

    db.open(row("a"), batch=batch, read_at=FAR)
    db.claim("pending", batch=batch)
    db.scrape(scraped(unit["id"], post("1", slides=2)), batch=batch)
    (claimed,) = db.claimed("scraped", batch=batch)

    known = Unit.model_validate(claimed).known_slides
    assert [(k.slide_number, k.image_key) for k in known] == [
        (n, slide("1", n)["content_hash"][:32]) for n in (1, 2)
    ]
    assert known[0].content_hash == slide("1", 1)["content_hash"]
