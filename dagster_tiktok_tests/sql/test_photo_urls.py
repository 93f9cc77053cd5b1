"""What the ledger knows of a post's kind: a later scrape must not take a carousel for a video."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dagster_tiktok_tests.support.database import (
    TODAY,
    Database,
    new_batch,
    persist_first_scrapes,
    post,
    row,
    slide,
)

VIDEO: dict[str, Any] = {"post_url": "https://www.tiktok.com/@mia/video/1"}


def _due_tomorrow(db: Database) -> list[dict[str, Any]]:
    db.pass_time(timedelta(days=1))
    tomorrow = TODAY + timedelta(days=1)
    return db.claimed("pending", batch=new_batch(), today=tomorrow)


@pytest.mark.parametrize(
    ("first", "slides", "is_photo"),
    [
        (post("1", slides=1), [slide("1", 1)], True),
        (post("1"), [], True),  # a preview of a photo URL knows no slides
        (post("1", slides=1, **VIDEO), [slide("1", 1)], True),
        (post("1", **VIDEO), [], False),
    ],
)
def test_a_claimed_daily_scrape_says_whether_its_post_is_a_photo(
    db: Database, first: dict[str, Any], slides: list[dict[str, Any]], is_photo: bool
) -> None:
    persist_first_scrapes(db, {"a": (first, slides)})
    (look,) = _due_tomorrow(db)
    assert (look["slot"], look["is_photo"]) == (1, is_photo)


def test_a_short_link_to_a_photo_is_still_a_photo_when_claimed_again(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    assert unit["is_photo"] is False
    missed = {"unit_id": unit["id"], "result": "retry", "error_kind": "incomplete", "error": "-"}
    db.scrape({**missed, "tiktok_id": "1", "is_photo": True}, batch=batch)

    db.pass_time(timedelta(hours=2))
    again = new_batch()
    (unit,) = db.claimed("pending", batch=again)
    assert (unit["tiktok_id"], unit["is_photo"]) == ("1", True)
    # What says nothing of the kind changes nothing; another post is another kind.
    db.scrape({**missed, "error_kind": "network", "counted": False}, batch=again)
    assert db.unit(unit["id"])["is_photo_url"] is True
    third = new_batch()
    db.claim("pending", batch=third)
    db.scrape({**missed, "tiktok_id": "2"}, batch=third)
    assert db.unit(unit["id"])["is_photo_url"] is False
