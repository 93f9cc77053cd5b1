"""Writing a chunk: posts, slides, metrics, daily scrapes; what is known is never lost."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from dagster_tiktok_tests.support.database import (
    FAR,
    NOON,
    TODAY,
    Database,
    new_batch,
    persist_first_scrapes,
    post,
    row,
    slide,
)


def _daily_scrape(db: Database, day: date, page: dict[str, Any]) -> None:
    batch = new_batch()
    (unit,) = db.claimed("pending", batch=batch, today=day)
    db.take_through({unit["id"]: (page, [])}, batch=batch, today=day)


def _at(day: int, hour: int = 12) -> datetime:
    return NOON.replace(day=day, hour=hour)


def test_a_first_scrape_is_written_completely(db: Database) -> None:
    slides = [slide("1", 2), slide("1", 1)]
    batch, written, _ = persist_first_scrapes(db, {"a": (post("1", slides=2), slides)})

    assert written == {
        "persisted": 1,
        "posts_written": 1,
        "slides_written": 2,
        "failed": [],
        "not_tried": [],
        "ignored": [],
    }
    stored = db.post("1")
    expected = {
        "va_url": "https://www.tiktok.com/a",
        "post_url": "https://www.tiktok.com/@mia/photo/1",
        "created_date": "2026-03-08",
        "creator": "Mia Rose",
        "set_id": 7,
        "set_code": "MIAR_007",
        "va": "Ann",
        "post_type": "NEW",
        "platform": "tiktok",
        "account": "mia",
        "views": 1000,
        "likes": 100,
        "bookmarks": 1,
        "engagement": 116,
        "engagement_rate": 11.6,
        "followers": 5000,
        "hashtags": ["one"],
        "slide_count": 2,
        "day1_views": None,
        "scrape_status": "active",
        "scrape_interval": "1 day",
        "scrape_count": 1,
        "days_since_posted": 2,
        "slides": [slide("1", 1)["public_url"], slide("1", 2)["public_url"]],
        "post_description": "hello #one",
        "account_verified": False,
        "scraping_method": "page",
        "data_quality": "complete",
        "error": None,
        "batch_id": batch,
    }
    assert {name: stored[name] for name in expected} == expected
    times = {stored[name] for name in ("first_scraped_at", "last_scraped_at", "scraped_at")}
    assert times == {"2026-03-10T12:00:00+00:00"}
    (metrics,) = db.query("select * from public.post_metrics")
    assert (metrics["captured_on"], metrics["views"], metrics["followers"]) == (
        "2026-03-10",
        1000,
        5000,
    )
    daily = db.query("select * from public.scrape_units where slot > 0 order by slot")
    assert [(u["source_key"], u["slot"], u["due_date"], u["batch_id"]) for u in daily] == [
        ("1", n, (TODAY + timedelta(days=n)).isoformat(), None) for n in range(1, 6)
    ]
    first = db.query("select * from public.tiktok_slides order by slide_number")[0]
    sent = slide("1", 1)
    assert {n: v for n, v in sent.items() if first[n] != v and not n.endswith("_at")} == {}


def test_days_follow_the_time_zone(db: Database) -> None:
    batch = new_batch()
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    late = NOON.replace(hour=23, minute=30)
    db.set_clock(late)
    db.take_through({unit["id"]: (post("1", at=late), [])}, batch=batch, to="stored")

    db.persist(unit["id"], batch=batch, zone="Europe/Berlin")

    assert db.one("select captured_on from public.post_metrics") == {"captured_on": "2026-03-11"}
    stored = db.post("1")
    assert (stored["created_date"], stored["days_since_posted"]) == ("2026-03-09", 2)
    first = db.one("select due_date from public.scrape_units where slot = 1")
    assert first == {"due_date": "2026-03-12"}


def test_a_repeated_call_changes_nothing(db: Database) -> None:
    batch, _, (unit,) = persist_first_scrapes(
        db, {"a": (post("1", slides=1), [slide("1", 1)])}, to="persisted"
    )
    tables = ("tiktok_posts", "tiktok_slides", "post_metrics", "scrape_units", "audit_log")
    before = [db.query(f"select * from public.{t} order by 1, 2") for t in tables]

    again = db.persist(unit, batch=batch)

    assert (again["persisted"], again["ignored"]) == (0, [unit])
    assert [db.query(f"select * from public.{t} order by 1, 2") for t in tables] == before


def test_each_of_five_days_has_its_views(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1"), [])})

    for day in range(1, 6):
        assert db.post("1")["scrape_status"] == "active"
        page = post("1", views=1000 + day, at=_at(10 + day))
        _daily_scrape(db, TODAY + timedelta(days=day), page)

    stored = db.post("1")
    assert [stored[f"day{n}_views"] for n in range(1, 6)] == [1001, 1002, 1003, 1004, 1005]
    assert (stored["views"], stored["scrape_count"], stored["days_since_posted"]) == (1005, 6, 7)
    assert stored["scrape_status"] == "completed"
    assert db.one("select count(*) as n from public.post_metrics") == {"n": 6}
    assert db.query("select * from public.scrape_units where state <> 'done'") == []


def test_known_values_stay_when_a_later_scrape_lacks_them(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1", slides=1), [slide("1", 1)])})
    known = db.post("1")

    nothing: dict[str, Any] = dict.fromkeys(("views", "likes", "shares", "bookmarks"))
    profile: dict[str, Any] = dict.fromkeys(
        ("account", "account_verified", "followers", "sound", "sound_url")
    )
    page = post("1", at=_at(11), comments=0, description="", hashtags=[], **nothing, **profile)
    page["data_quality"] = "partial"
    _daily_scrape(db, TODAY + timedelta(days=1), page)

    later = db.post("1")
    changed = {name for name in known if known[name] != later[name]}
    assert changed == {
        "last_scraped_at",
        "scraped_at",
        "scrape_count",
        "days_since_posted",
        "data_quality",
        "batch_id",
        "updated_at",
    }
    assert later["day1_views"] is None


def test_newer_metrics_stay_when_an_older_scrape_is_written_last(db: Database) -> None:
    newer, older = new_batch(), new_batch()
    db.open(row("a"), batch=older)
    (a,) = db.claimed("pending", batch=older)
    db.take_through({a["id"]: (post("1", views=10, at=_at(10, 8)), [])}, batch=older, to="stored")
    persist_first_scrapes(db, {"b": (post("1", views=20, at=_at(10, 9)), [])})
    assert newer != older

    db.persist(a["id"], batch=older)

    stored = db.post("1")
    assert (stored["views"], stored["scraped_at"]) == (20, "2026-03-10T09:00:00+00:00")
    assert db.one("select views from public.post_metrics") == {"views": 20}


def test_an_older_daily_scrape_written_last_still_fills_its_day(db: Database) -> None:
    tomorrow, batch = TODAY + timedelta(days=1), new_batch()
    persist_first_scrapes(db, {"a": (post("1"), [])})
    (daily,) = db.claimed("pending", batch=batch, today=tomorrow)
    page = post("1", views=11, at=_at(11, 2))
    db.take_through({daily["id"]: (page, [])}, batch=batch, today=tomorrow, to="stored")
    persist_first_scrapes(db, {"b": (post("1", views=12, at=_at(11, 3)), [])})

    db.persist(daily["id"], batch=batch)

    stored = db.post("1")
    assert (stored["views"], stored["day1_views"]) == (12, 11)


def test_two_rows_of_one_post_make_one_post_with_the_first_rows_details(db: Database) -> None:
    page = post("1")
    _, written, _ = persist_first_scrapes(db, {"a": (page, []), "b": (page, [])})

    assert (written["persisted"], written["posts_written"], written["failed"]) == (2, 1, [])
    stored = db.post("1")
    assert (stored["scrape_count"], stored["va_url"]) == (1, "https://www.tiktok.com/a")
    assert db.one("select count(*) as n from public.scrape_units where slot > 0") == {"n": 5}


def test_the_details_of_a_corrected_row_replace_the_old_ones(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1"), [])}, created_date="2026-03-01")
    logged = db.post("1")["logged_at"]

    persist_first_scrapes(
        db, {"a": (post("1", at=_at(10, 13)), [])}, va="Ben", creator="Zoe", set_id=1234
    )
    persist_first_scrapes(
        db,
        {"other": (post("1", at=_at(10, 14)), [])},
        va="Eve",
        creator="Eve",
    )

    stored = db.post("1")
    assert (stored["va"], stored["creator"], stored["set_code"]) == ("Ben", "Zoe", "ZOE_1234")
    assert (stored["created_date"], stored["logged_at"]) == ("2026-03-01", logged)
    assert (stored["scrape_count"], stored["first_scraped_at"]) == (3, "2026-03-10T12:00:00+00:00")


def test_reopening_a_row_does_not_reopen_its_daily_scrapes(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1"), [])})
    db.claim("pending", batch=new_batch(), today=TODAY + timedelta(days=9))  # all expire
    assert db.post("1")["scrape_status"] == "completed"

    persist_first_scrapes(db, {"a": (post("1", at=_at(20)), [])})

    units = db.query("select slot, state, outcome from public.scrape_units order by slot")
    assert [(u["state"], u["outcome"]) for u in units[1:]] == [("done", "expired")] * 5
    assert db.post("1")["scrape_status"] == "completed"


def _gone(db: Database, day: date, *, tiktok_id: str) -> None:
    batch = new_batch()
    (unit,) = db.claimed("pending", batch=batch, today=day)
    result = {"unit_id": unit["id"], "result": "unavailable", "tiktok_id": tiktok_id}
    reason = {"error_kind": "deleted", "error": "The post was deleted."}
    db.scrape({**result, **reason}, batch=batch, today=day)
    db.claim("stored", batch=batch, today=day)
    db.persist(unit["id"], batch=batch)


def test_a_post_that_is_gone_later_is_marked_and_its_scrapes_end(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1"), [])})

    _gone(db, TODAY + timedelta(days=1), tiktok_id="1")

    stored = db.post("1")
    assert (stored["scrape_status"], stored["error"]) == ("unavailable", "The post was deleted.")
    assert (stored["views"], stored["scrape_count"]) == (1000, 1)
    daily = db.query("select * from public.scrape_units where slot > 0 order by slot")
    assert [(u["state"], u["outcome"], u["error_kind"]) for u in daily] == [
        ("persisted", "unavailable", "deleted"),
        *[("done", "unavailable", "deleted")] * 4,
    ]

    persist_first_scrapes(db, {"b": (post("1", at=_at(12)), [])})
    back = db.post("1")
    assert (back["scrape_status"], back["error"]) == ("completed", None)


def test_a_paused_post_stays_paused_when_scraped_or_gone(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1"), [])})
    db.execute("update public.tiktok_posts set scrape_status = 'paused'")

    persist_first_scrapes(db, {"a": (post("1", at=_at(10, 13)), [])})
    assert db.post("1")["scrape_status"] == "paused"

    db.open(row("b", tiktok_id="1"), batch=new_batch(), read_at=FAR)
    _gone(db, TODAY, tiktok_id="1")
    assert db.post("1")["scrape_status"] == "paused"
