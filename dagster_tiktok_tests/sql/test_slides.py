"""The rows of stored slides: written once, replaced when the image changes, removed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dagster_tiktok_tests.support.database import (
    NOON,
    Database,
    persist_first_scrapes,
    post,
    slide,
)

TOMORROW_NOON = NOON + timedelta(days=1)


def test_slides_of_a_changed_carousel_are_replaced_and_removed(db: Database) -> None:
    slides = [slide("1", n) for n in (1, 2, 3)]
    persist_first_scrapes(db, {"a": (post("1", slides=3), slides)})
    db.execute("update public.tiktok_slides set ocr_text = 'text', ocr_processed = true")
    db.execute("update public.tiktok_posts set ocr_text = 'text text text'")

    later = [slide("1", 1), slide("1", 2, picture="b", at=TOMORROW_NOON)]
    _, written, _ = persist_first_scrapes(db, {"a": (post("1", slides=2, at=TOMORROW_NOON), later)})

    assert written["slides_written"] == 1
    kept = db.query("select * from public.tiktok_slides order by slide_number")
    assert [(s["slide_number"], s["ocr_text"], s["ocr_processed"]) for s in kept] == [
        (1, "text", True),
        (2, None, False),
    ]
    assert kept[1]["content_hash"] == later[1]["content_hash"]
    stored = db.post("1")
    assert (stored["slide_count"], stored["slides"]) == (2, [s["public_url"] for s in later])
    assert stored["ocr_text"] is None  # some of it was in slides that are gone


def test_recognised_text_stays_when_a_carousel_is_scraped_again(db: Database) -> None:
    slides = [slide("1", n) for n in (1, 2)]
    persist_first_scrapes(db, {"a": (post("1", slides=2), slides)})
    db.execute("update public.tiktok_posts set ocr_text = 'text text'")

    persist_first_scrapes(db, {"a": (post("1", slides=2, at=TOMORROW_NOON), slides)})

    assert db.post("1")["ocr_text"] == "text text"


def test_the_other_slides_stay_when_a_scrape_stored_only_some(db: Database) -> None:
    slides = [slide("1", n) for n in (1, 2, 3)]
    persist_first_scrapes(db, {"a": (post("1", slides=3), slides)})

    some = [slide("1", 2, picture="b", at=TOMORROW_NOON)]
    persist_first_scrapes(db, {"a": (post("1", slides=3, at=TOMORROW_NOON), some)})

    urls = [slides[0]["public_url"], some[0]["public_url"], slides[2]["public_url"]]
    rows = db.query("select public_url from public.tiktok_slides order by slide_number")
    assert [row["public_url"] for row in rows] == urls
    assert (db.post("1")["slide_count"], db.post("1")["slides"]) == (3, urls)


def _signed_again(stored: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The same slide from another fetch of the page."""
    url = stored["slide_url"].partition("?")[0] + "?x-expires=2&x-signature=new"
    times = {"downloaded_at": at.isoformat(), "uploaded_at": at.isoformat()}
    return {**stored, **times, "slide_url": url}


def test_a_slide_that_is_stored_again_changes_nothing(db: Database) -> None:
    first = slide("1", 1)
    persist_first_scrapes(db, {"a": (post("1", slides=1), [first])})
    before = db.query("select * from public.tiktok_slides")

    again = _signed_again(first, TOMORROW_NOON)
    _, written, _ = persist_first_scrapes(
        db, {"a": (post("1", slides=1, at=TOMORROW_NOON), [again])}
    )

    assert (written["posts_written"], written["slides_written"]) == (1, 0)
    assert db.query("select * from public.tiktok_slides") == before


def test_slides_count_once_when_a_chunk_has_two_scrapes_of_a_carousel(db: Database) -> None:
    slides = [slide("1", n) for n in (1, 2)]
    signed = [_signed_again(stored, NOON + timedelta(minutes=1)) for stored in slides]
    later = post("1", slides=2, at=NOON + timedelta(minutes=1))

    _, written, _ = persist_first_scrapes(
        db, {"a": (post("1", slides=2), slides), "b": (later, signed)}
    )

    assert (written["persisted"], written["slides_written"]) == (2, 2)


def test_a_slide_at_another_url_is_written_with_that_url(db: Database) -> None:
    # No upload counts as later than the database's own time.
    later = NOON + timedelta(hours=1)
    db.set_clock(later + timedelta(hours=1))
    first = slide("1", 1)
    persist_first_scrapes(db, {"a": (post("1", slides=1), [first])})
    moved = {
        **_signed_again(first, later),
        "slide_url": "https://p19.example/other.jpeg?x=1",
    }

    _, written, _ = persist_first_scrapes(db, {"a": (post("1", slides=1, at=later), [moved])})

    stored = db.one("select * from public.tiktok_slides")
    assert (written["slides_written"], stored["slide_url"]) == (1, moved["slide_url"])
    assert stored["uploaded_at"] == "2026-03-10T13:00:00+00:00"
