"""The audit trail: what changed other than metrics, before and after, who and when."""

from __future__ import annotations

import pytest
from postgrest.exceptions import APIError

from dagster_tiktok_tests.support.database import Database

_COLUMNS = (
    "post_id, post_url, slide_number, slide_url, storage_path, public_url, file_size, width, "
    "height, mime_type, content_hash, downloaded_at, uploaded_at"
)


def _insert_post(db: Database) -> int:
    row = {"tiktok_id": "1", "post_url": "https://x/1"}
    db.client.table("tiktok_posts").insert(row).execute()
    return int(db.post("1")["id"])


def _entries(db: Database) -> list[tuple[object, ...]]:
    rows = db.query("select * from public.audit_log order by id")
    names = ("table_name", "row_id", "operation", "before", "after", "actor")
    return [tuple(row[name] for name in names) for row in rows]


def test_a_new_post_is_logged_with_its_writer(db: Database) -> None:
    post_id = _insert_post(db)

    after = {"tiktok_id": "1", "post_url": "https://x/1", "va_url": None}
    assert _entries(db) == [("tiktok_posts", post_id, "insert", None, after, "service_role")]


def test_a_change_of_metrics_is_not_logged(db: Database) -> None:
    _insert_post(db)

    db.execute(
        "update public.tiktok_posts set views = 5, likes = 1, followers = 2, day1_views = 3, "
        "scrape_count = 4, last_scraped_at = now(), scraped_at = now(), days_since_posted = 1, "
        "batch_id = gen_random_uuid()"
    )

    assert len(_entries(db)) == 1


def test_only_the_changed_columns_are_logged(db: Database) -> None:
    post_id = _insert_post(db)

    change = {"va": "Ben", "views": 7, "scrape_status": "paused"}
    db.client.table("tiktok_posts").update(change).eq("id", post_id).execute()

    before = {"va": None, "scrape_status": "active"}
    after = {"va": "Ben", "scrape_status": "paused"}
    assert _entries(db)[1:] == [("tiktok_posts", post_id, "update", before, after, "service_role")]


def test_new_changed_and_deleted_slides_are_logged(db: Database) -> None:
    post_id = _insert_post(db)
    digest = "a" * 64
    db.execute(
        f"insert into public.tiktok_slides ({_COLUMNS}) values ({post_id}, 'https://x/1', 1, "
        f"'https://cdn/1', '1/01.jpeg', 'https://b/1', 5, 1, 1, 'image/jpeg', '{digest}', now(), "
        "now())"
    )
    db.execute("update public.tiktok_slides set slide_url = 'https://cdn/2', uploaded_at = now()")
    db.execute("update public.tiktok_slides set ocr_text = 'text', ocr_processed = true")
    db.execute("update public.tiktok_posts set ocr_text = 'text'")  # a machine's, like a figure
    db.execute("update public.tiktok_slides set width = 2")
    db.execute("delete from public.tiktok_posts")

    entries = _entries(db)[1:]
    assert [(entry[0], entry[2]) for entry in entries] == [
        ("tiktok_slides", "insert"),
        ("tiktok_slides", "update"),
        ("tiktok_posts", "delete"),
        ("tiktok_slides", "delete"),
    ]
    assert entries[1][3:5] == (
        {"width": 1},
        {"width": 2},
    )
    deleted = entries[3][3]
    assert isinstance(deleted, dict) and deleted["content_hash"] == digest


def test_the_return_value_says_when_old_entries_remain(db: Database) -> None:
    db.execute(
        "insert into public.audit_log (table_name, row_id, operation, actor, changed_at) "
        "select 'tiktok_posts', n, 'insert', 'test', now() - interval '400 days' "
        "from generate_series(1, 100001) as n"
    )

    calls = [db.call_private("prune_audit_log", keep_days=365) for _ in range(3)]

    assert calls == [{"deleted": 100_000}, {"deleted": 1}, {"deleted": 0}]


def test_pruning_removes_old_entries_and_always_keeps_a_month(db: Database) -> None:
    _insert_post(db)
    db.execute("update public.audit_log set changed_at = now() - interval '40 days'")

    with pytest.raises(APIError, match="at least 30 days"):
        db.call_private("prune_audit_log", keep_days=29)
    assert db.call_private("prune_audit_log", keep_days=41) == {"deleted": 0}
    assert db.call_private("prune_audit_log", keep_days=39) == {"deleted": 1}
