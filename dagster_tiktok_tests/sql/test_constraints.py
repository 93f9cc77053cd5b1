"""What the database rejects and computes, for every role that writes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import dict_row

from dagster_tiktok_tests.support.rights import NEW_ROWS, ROWS

BIGGEST = 2**63 - 1
NOW = "2026-03-10T12:00:00Z"
HELD = {"leased_by": "0" * 32, "lease_until": NOW, "claim_id": "0" * 32}
DAILY = {"source": None, "source_key": "1", "slot": 1, "tiktok_id": "1"}
DONE = {"state": "done", "outcome": "scraped", "finished_at": NOW}
COUNTS = ("views", "likes", "comments", "shares", "bookmarks", "followers")

# By constraint, the values that it rejects. The rest of the row is right.
REJECTED: dict[str, list[dict[str, Any]]] = {
    "tiktok_posts_tiktok_id_key": [{"tiktok_id": "1"}],
    "tiktok_posts_tiktok_id_check": [{"tiktok_id": x} for x in ("", "12a", "-1", "1" * 26)],
    "tiktok_posts_post_url_key": [{"post_url": "https://x/1"}],
    "tiktok_posts_set_id_check": [{"set_id": -1}],
    "tiktok_posts_post_type_check": [{"post_type": x} for x in ("", "new", "OLD")],
    "tiktok_posts_platform_check": [{"platform": "youtube"}],
    "tiktok_posts_slide_count_check": [{"slide_count": -1}, {"slide_count": 36}],
    "tiktok_posts_scrape_status_check": [{"scrape_status": x} for x in ("", "Active", "done")],
    "tiktok_posts_scrape_interval_check": [{"scrape_interval": "0"}, {"scrape_interval": "-1 day"}],
    "tiktok_posts_scrape_count_check": [{"scrape_count": -1}],
    "tiktok_posts_days_since_posted_check": [{"days_since_posted": -1}],
    "tiktok_posts_slides_check": [{"slides": "{}"}, {"slides": '"x"'}, {"slides": "null"}],
    "tiktok_posts_data_quality_check": [{"data_quality": "good"}],
    "tiktok_posts_counts_check": [
        {count: -1} for count in (*COUNTS, *(f"day{n}_views" for n in range(1, 6)))
    ],
    "tiktok_slides_post_id_fkey": [{"post_id": 999}],
    "tiktok_slides_post_id_slide_number_key": [{"slide_number": 1}],
    "tiktok_slides_slide_number_check": [{"slide_number": x} for x in (-1, 0, 36)],
    "tiktok_slides_file_size_check": [{"file_size": -1}, {"file_size": 0}],
    "tiktok_slides_width_check": [{"width": 0}],
    "tiktok_slides_height_check": [{"height": 0}],
    "tiktok_slides_mime_type_check": [{"mime_type": x} for x in ("", "text/html", "image/svg+xml")],
    "tiktok_slides_content_hash_check": [{"content_hash": x} for x in ("", "A" * 64, "a" * 63)],
    "scraping_logs_batch_id_key": [{"batch_id": "0" * 32}],
    "scraping_logs_status_check": [{"status": x} for x in ("", "done", "Completed")],
    "scraping_logs_metrics_check": [{"metrics": "[]"}],
    "scraping_logs_failures_check": [{"failures": "[]"}],
    "scraping_logs_counts_check": [
        *(
            {count: -1}
            for count in (
                "total_urls",
                "successful_scrapes",
                "failed_scrapes",
                "carousel_posts_processed",
                "slides_downloaded",
                "slides_uploaded",
                "duration_seconds",
            )
        )
    ],
    "scraping_logs_completed_check": [{"status": "running", "batch_completed_at": NOW}],
    "scrape_units_source_check": [{"source": None}, {**DAILY, "source": "sheet"}],
    "scrape_units_origin_check": [{"is_origin": True}, {**DAILY, "is_origin": True}],
    "scrape_units_slot_check": [{**DAILY, "slot": x} for x in (-1, 6)],
    "scrape_units_state_check": [{"state": "lost", "outcome": "scraped"}],
    "scrape_units_outcome_check": [{"state": "scraped", "outcome": "lost"}],
    "scrape_units_attempts_check": [{"attempts": -1}],
    "scrape_units_pending_check": [{"outcome": "scraped"}, {"state": "scraped"}],
    "scrape_units_unanswered_check": [{"unanswered_since": NOW}],
    "scrape_units_daily_check": [{**DAILY, "tiktok_id": None}, {**DAILY, "tiktok_id": "2"}],
    "scrape_units_done_check": [
        {"finished_at": NOW},
        {**DONE, "finished_at": None},
        *({**DONE, payload: "{}"} for payload in ("details", "post", "slides")),
    ],
    "scrape_units_lease_check": [
        {**HELD, "leased_by": None},
        {**HELD, "lease_until": None},
        {**HELD, "claim_id": None},
        {**HELD, **DONE},
    ],
    "post_metrics_post_id_fkey": [{"post_id": 999}],
    "post_metrics_counts_check": [{count: -1} for count in COUNTS],
    "audit_log_operation_check": [{"operation": "select"}],
}
TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("tiktok_posts", {"tiktok_id": "1" * 25}),
    *(("tiktok_posts", {"post_type": x}) for x in ("NEW", "REPOST")),
    *(
        ("tiktok_posts", {"scrape_status": x})
        for x in ("active", "paused", "completed", "unavailable")
    ),
    *(("tiktok_posts", {"data_quality": x}) for x in ("complete", "no_account", "partial")),
    *(("tiktok_posts", {"slide_count": x}) for x in (0, 35)),
    ("tiktok_posts", dict.fromkeys(COUNTS, 0)),
    ("tiktok_posts", dict.fromkeys(COUNTS, BIGGEST)),
    *(("tiktok_slides", {"slide_number": x}) for x in (2, 35)),
    *(("scraping_logs", {"status": x}) for x in ("running", "completed", "partial", "failed")),
    *(("scrape_units", {**DAILY, "slot": x, **DONE}) for x in range(1, 6)),
    *(
        ("scrape_units", {"source_key": key, "source": s})
        for key, s in (("a", "2"), ("b", "sheet"))
    ),
    *(
        ("scrape_units", {"state": x, "outcome": "scraped", **HELD})
        for x in ("scraped", "stored", "persisted")
    ),
    *(("scrape_units", {**DONE, "outcome": x}) for x in ("scraped", "unavailable", "expired")),
    ("post_metrics", dict.fromkeys(COUNTS, BIGGEST)),
]


@pytest.fixture
def connection(plain_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A transaction on tables with a row each; rolled back in the end."""
    with psycopg.connect(plain_url, row_factory=dict_row) as transaction:
        transaction.execute(ROWS.encode())
        transaction.execute("update public.scraping_logs set batch_id = repeat('0', 32)::uuid")
        yield transaction
        transaction.rollback()


def _insert(
    connection: psycopg.Connection[dict[str, Any]], table: str, row: dict[str, Any]
) -> dict[str, Any]:
    """Returns the row as it was stored."""
    whole = NEW_ROWS[table] | row
    statement = sql.SQL("insert into public.{} ({}) values ({}) returning *").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, whole)),
        sql.SQL(", ").join(map(sql.Literal, whole.values())),
    )
    stored = connection.execute(statement).fetchone()
    assert stored is not None
    return stored


def _constraints(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, str]:
    """The table of each constraint, except primary keys."""
    rows = connection.execute(
        "select conname, relname from pg_catalog.pg_constraint as k "
        "join pg_catalog.pg_class as c on c.oid = k.conrelid "
        "where c.relnamespace = 'public'::regnamespace and contype in ('c', 'f', 'u')"
    )
    return {row["conname"]: row["relname"] for row in rows}


def test_every_constraint_has_a_row_that_it_rejects(
    connection: psycopg.Connection[dict[str, Any]],
) -> None:
    assert set(_constraints(connection)) == set(REJECTED)


@pytest.mark.parametrize("constraint", REJECTED)
def test_a_constraint_rejects_an_impossible_row(
    connection: psycopg.Connection[dict[str, Any]], constraint: str
) -> None:
    table = _constraints(connection)[constraint]
    for wrong in REJECTED[constraint]:
        with pytest.raises(errors.IntegrityError) as rejected, connection.transaction():
            _insert(connection, table, wrong)
        assert rejected.value.diag.constraint_name == constraint, wrong


def test_rows_at_the_limits_are_accepted(connection: psycopg.Connection[dict[str, Any]]) -> None:
    for table, row in TAKEN:
        with connection.transaction(force_rollback=True):
            stored = _insert(connection, table, row)
        assert stored.keys() >= row.keys()


@pytest.mark.parametrize(
    ("counts", "engagement", "rate"),
    [
        ((10, 5000, 1, 2, 3), 5006, "50060"),
        ((3, 1, None, None, None), 1, "33.33"),
        ((0, 5, None, None, None), 5, "0"),
        ((None, 5, 1, 1, 1), 8, "0"),
        ((7, None, None, None, None), None, None),
        ((7, 0, 0, 0, 0), 0, "0"),
        ((1, BIGGEST, BIGGEST, BIGGEST, BIGGEST), BIGGEST, str(400 * BIGGEST)),
        ((BIGGEST,) * 5, BIGGEST, "400"),
    ],
)
def test_the_database_computes_engagement(
    connection: psycopg.Connection[dict[str, Any]],
    counts: tuple[int | None, ...],
    engagement: int | None,
    rate: str | None,
) -> None:
    names = ("views", "likes", "comments", "shares", "bookmarks")

    stored = _insert(connection, "tiktok_posts", dict(zip(names, counts)))

    assert (stored["engagement"], stored["engagement_rate"]) == (engagement, rate and Decimal(rate))


@pytest.mark.parametrize("column", ["engagement", "engagement_rate", "id"])
def test_computed_columns_cannot_be_written(
    connection: psycopg.Connection[dict[str, Any]], column: str
) -> None:
    with pytest.raises(errors.GeneratedAlways):
        _insert(connection, "tiktok_posts", {column: 1})


@pytest.mark.parametrize("table", ["tiktok_posts", "scrape_units"])
def test_the_time_of_a_change_is_the_databases(
    connection: psycopg.Connection[dict[str, Any]], table: str
) -> None:
    stored = _insert(connection, table, {"updated_at": "2020-01-01"})
    change = sql.SQL("update public.{} set updated_at = '2021-01-01' where id = {} returning *")

    changed = connection.execute(change.format(sql.Identifier(table), stored["id"])).fetchone()

    transaction = connection.execute("select now() as started").fetchone()
    assert changed is not None and transaction is not None
    assert changed["updated_at"] == transaction["started"]
