"""Rows that cannot be written back: their posts are not scraped again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dagster_tiktok_tests.support.database import (
    FAR,
    SHEET,
    TODAY,
    Database,
    new_batch,
    persist_first_scrapes,
    post,
    row,
)

NOTE = 'the cell F2 ("Status") is protected'
GONE = {"result": "unavailable", "error_kind": "deleted", "error": "It was deleted."}


def _cannot_write_back(db: Database, batch: str) -> list[int]:
    """One attempt to write back, which fails. Returns the units."""
    units = [unit["id"] for unit in db.claimed("persisted", batch=batch)]
    results = [{"unit_id": unit, "note": NOTE, "waits": True} for unit in units]
    assert db.call("finish_units", owner=batch, results=results)["finished"] == len(units)
    return units


def _blocked(db: Database) -> tuple[str, int]:
    """A scraped post whose row cannot be written back: its batch, which is open, and its unit."""
    batch, _, (unit,) = persist_first_scrapes(db, {"a": (post("1"), [])}, to="persisted")
    db.call("open_batch", batch_id=batch, partition_date=TODAY.isoformat())
    assert _cannot_write_back(db, batch) == [unit]
    return batch, unit


@pytest.mark.parametrize("later", [timedelta(minutes=5), timedelta(days=1), timedelta(days=40)])
def test_a_later_run_only_writes_back_a_row_that_could_not_be_written(
    db: Database, later: timedelta
) -> None:
    _, unit = _blocked(db)
    before = db.unit(unit)
    assert before["unanswered_since"] is not None
    db.pass_time(later)
    batch = new_batch()

    opened = db.open(row("a"), batch=batch, read_at=FAR)
    to_scrape = [u for u in db.claimed("pending", batch=batch) if u["slot"] == 0]

    assert opened == {"opened": 0, "reopened": 0, "updated": 0, "already_open": 1}
    assert to_scrape == []
    assert _cannot_write_back(db, batch) == [unit]
    assert db.claimed("persisted", batch=batch) == []  # once a run
    after = db.unit(unit)
    kept = ("state", "post", "details", "batch_id", "unanswered_since", "note", "attempts")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_every_batch_names_a_row_that_cannot_be_written_back_and_one_counts_it(
    db: Database,
) -> None:
    batch, unit = _blocked(db)
    first = db.close_batch(batch_id=batch)
    later = new_batch()
    db.call("open_batch", batch_id=later, partition_date=TODAY.isoformat())
    _cannot_write_back(db, later)
    second = db.close_batch(batch_id=later)

    assert (first["urls_processed"], first["succeeded"]) == (1, 1)
    assert (second["urls_processed"], second["succeeded"]) == (0, 0)
    for summary in (first, second):
        assert (summary["status"], summary["unfinished"]) == ("completed", 0)
        (listed,) = summary["errors"]
        assert (listed["unit_id"], listed["error"], listed["state"]) == (unit, NOTE, "persisted")
        assert listed["unanswered_since"] is not None
    assert db.unfinished(due_date=TODAY.isoformat())["count"] == 0
    assert db.close_batch(batch_id=later, sources=["another"])["errors"] == []


def test_the_unit_is_done_when_its_row_can_be_written_back_again(db: Database) -> None:
    _, unit = _blocked(db)
    batch = new_batch()
    db.claim("persisted", batch=batch)

    db.call("finish_units", owner=batch, results=[{"unit_id": unit}])

    after = db.unit(unit)
    assert (after["state"], after["note"], after["unanswered_since"]) == ("done", None, None)
    assert after["batch_id"] == batch
    assert db.open(row("a"), batch=new_batch(), read_at=FAR)["reopened"] == 1  # asked again


def test_a_correction_of_such_a_row_is_written_without_a_new_request(db: Database) -> None:
    _, unit = _blocked(db)
    before = db.post("1")
    batch = new_batch()

    updated = db.open(row("a", va="Ben"), batch=batch, read_at=FAR)["updated"]
    states = [len(db.claimed(state, batch=batch)) for state in ("pending", "scraped", "stored")]
    written = db.persist(unit, batch=batch)

    assert (updated, states, written["persisted"]) == (1, [0, 0, 1], 1)
    after = db.post("1")
    assert (before["va"], after["va"]) == ("Ann", "Ben")
    assert (after["scrape_count"], after["views"]) == (1, before["views"])
    assert db.unit(unit)["unanswered_since"] is None


def _unavailable(db: Database) -> int:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.scrape({"unit_id": unit["id"], **GONE}, batch=batch)
    db.claim("stored", batch=batch)
    db.persist(unit["id"], batch=batch)
    _cannot_write_back(db, batch)
    return int(unit["id"])


def test_a_gone_post_keeps_its_reason_when_its_row_cannot_be_written_back(db: Database) -> None:
    unit = _unavailable(db)

    db.open(row("a", va="Ben"), batch=new_batch(), read_at=FAR)

    after = db.unit(unit)
    assert (after["state"], after["outcome"], after["error"]) == (
        "stored",
        "unavailable",
        "It was deleted.",
    )


@pytest.mark.parametrize(
    ("problems_then", "problems_now", "state"),
    [
        ([], ["bad type"], "persisted"),  # only the reason is another one
        (["bad type"], ["bad set"], "persisted"),
        (["bad type"], [], "pending"),  # it was never scraped
    ],
)
def test_such_a_row_is_judged_by_its_current_cells(
    db: Database, problems_then: list[str], problems_now: list[str], state: str
) -> None:
    if problems_then:
        batch = new_batch()
        db.open(row("a", problems=problems_then), batch=batch)
        _cannot_write_back(db, batch)
    else:
        _blocked(db)

    db.open(row("a", va="Ben", problems=problems_now), batch=new_batch(), read_at=FAR)

    after: dict[str, Any] = db.one("select * from public.scrape_units where slot = 0")
    assert (after["state"], after["error"], after["unanswered_since"], after["note"]) == (
        state,
        "; ".join(problems_now) or None,
        None,
        None,
    )
    assert after["source"] == SHEET
