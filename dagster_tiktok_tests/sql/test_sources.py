"""Several sheets on one database: each row belongs to its sheet, each daily scrape to all."""

from __future__ import annotations

from typing import Any

from dagster_tiktok_tests.support.database import (
    FAR,
    SHEET,
    TODAY,
    Database,
    new_batch,
    post,
    row,
    scraped,
)

OTHER = "2other#gid=5"


def _scrape(db: Database, key: str, source: str, **details: Any) -> str:
    """A row's whole way; every row leads to the post 1. Returns the batch."""
    batch = new_batch()
    db.call("open_batch", batch_id=batch, partition_date=TODAY.isoformat())
    db.open(row(key, **details), batch=batch, source=source, read_at=FAR)
    units = db.claimed("pending", batch=batch, sources=[source])
    (unit,) = [unit for unit in units if unit["source"] == source]
    for state in ("scraped", "stored", "persisted"):
        if state == "scraped":
            db.scrape(scraped(unit["id"], post("1")), batch=batch)
        elif state == "stored":
            stored = {"unit_id": unit["id"], "result": "stored", "slides": []}
            db.store(stored, batch=batch)
        else:
            db.persist(unit["id"], batch=batch)
        db.claim(state, batch=batch, sources=[source])
    db.call("finish_units", owner=batch, results=[{"unit_id": unit["id"]}])
    return batch


def _typed(db: Database) -> tuple[str, str, int, str]:
    stored = db.post("1")
    return stored["va"], stored["creator"], stored["set_id"], stored["va_url"]


def test_each_row_of_a_link_in_two_sheets_is_a_unit(db: Database) -> None:
    batch = new_batch()
    assert db.open(row("a"), batch=batch)["opened"] == 1
    assert db.open(row("a"), batch=batch, source=OTHER)["opened"] == 1
    assert db.open(row("a"), batch=batch, source=OTHER)["already_open"] == 1


def test_another_deployments_rows_are_neither_claimed_nor_due(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    db.open(row("a"), row("b"), batch=batch, source=OTHER)
    day = TODAY.isoformat()

    mine = db.claim("pending", batch=batch)
    theirs = db.unfinished(due_date=day, sources=[OTHER])
    both = db.unfinished(due_date=day, sources=[SHEET, OTHER])
    # Those that they hold are not waited for either.
    heir = db.claim("pending", batch=new_batch(), sources=[OTHER], limit=1)
    waited = db.claim("pending", batch=new_batch())

    assert [(u["source"], u["source_key"]) for u in mine["units"]] == [(SHEET, "a")]
    assert (theirs["count"], both["count"]) == (2, 3)
    assert {u["source"] for u in theirs["units"]} == {OTHER}
    assert len(heir["units"]) == 1
    assert (waited["units"], waited["leased"]) == ([], 1)


def test_any_deployment_claims_a_daily_scrape(db: Database) -> None:
    _scrape(db, "a", SHEET)
    tomorrow = TODAY.replace(day=TODAY.day + 1)

    (unit,) = db.claimed("pending", batch=new_batch(), today=tomorrow, sources=[OTHER])

    assert (unit["slot"], unit["source"]) == (1, None)
    assert db.unfinished(due_date=tomorrow.isoformat(), sources=[])["count"] == 1


def test_a_post_in_two_sheets_keeps_the_details_of_its_first_row(db: Database) -> None:
    first = _scrape(db, "a", SHEET, va="Ann", set_id=7)
    later = _scrape(db, "a", OTHER, va="Ben", set_id=8, creator="Lu Lang")

    assert _typed(db) == ("Ann", "Mia Rose", 7, "https://www.tiktok.com/a")
    assert db.close_batch(batch_id=first)["repeated"] == []
    assert db.close_batch(batch_id=later, sources=[OTHER])["repeated"] == [
        {"source": OTHER, "source_key": "a", "first_source": SHEET, "first_key": "a"}
    ]


def test_a_correction_of_the_first_row_counts_for_a_post_under_two_links(db: Database) -> None:
    _scrape(db, "short", SHEET, va="Ann")
    _scrape(db, "long", SHEET, va="Ben")
    assert _typed(db)[0] == "Ann"

    _scrape(db, "short", SHEET, va="Cy")
    assert _typed(db)[0] == "Cy"
    _scrape(db, "long", SHEET, va="Ben")
    assert _typed(db)[0] == "Cy"


def test_the_next_row_counts_when_the_first_one_never_led_to_the_post(db: Database) -> None:
    batch = new_batch()
    db.open(row("a", va="Ann"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    failure = {"unit_id": unit["id"], "result": "retry", "error_kind": "network", "error": "cut"}
    db.scrape({**failure, "tiktok_id": "1"}, batch=batch)

    _scrape(db, "a", OTHER, va="Ben")

    assert _typed(db)[0] == "Ben"


def test_a_link_that_now_leads_to_another_post_is_no_longer_the_first_row(db: Database) -> None:
    _scrape(db, "a", SHEET, va="Ann")
    batch = new_batch()
    db.open(row("a", va="Ann"), batch=batch, read_at=FAR)
    (unit,) = db.claimed("pending", batch=batch)
    db.scrape(scraped(unit["id"], post("2")), batch=batch)

    assert db.unit(unit["id"])["is_origin"] is False
