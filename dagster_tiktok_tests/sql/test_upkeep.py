"""What keeps the database small, and what a project does not allow to be created."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from postgrest.exceptions import APIError

from dagster_tiktok.cli.doctor import Finding, check_everything
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.database import (
    NOON,
    ROOT,
    Database,
    persist_first_scrapes,
    post,
)
from tools.postgres import PostgresServer, apply_migrations

_POLICY = "signed-in users upload slides"
# A project whose storage belongs to another role, as far as the migrations touch it.
_STORAGE_OF_ANOTHER = """
    create schema storage;
    grant usage on schema storage to hosted_owner;
    create table storage.buckets (id text primary key, name text not null, public boolean,
      file_size_limit bigint, allowed_mime_types text[]);
    create table storage.objects (id uuid primary key, bucket_id text, name text);
    alter table storage.objects enable row level security;
    grant all on storage.buckets, storage.objects to hosted_owner"""


def _finish_everything(db: Database, *, days_ago: int, key: str) -> None:
    db.execute(
        "update public.scrape_units set state = 'done', outcome = coalesce(outcome, 'expired'), "
        f"finished_at = private.current_instant() - interval '{days_ago} days' "
        f"where source_key = '{key}'"
    )


def test_shrinking_the_ledger_removes_only_old_daily_scrapes(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1"), []), "b": (post("2"), [])})
    _finish_everything(db, days_ago=400, key="1")
    _finish_everything(db, days_ago=300, key="2")

    assert db.call_private("prune_units", keep_days=365) == {"removed": 4}

    left = db.query("select source_key, slot from public.scrape_units order by source_key, slot")
    assert [(unit["source_key"], unit["slot"]) for unit in left] == [
        *(("1", 5), *(("2", slot) for slot in range(1, 6))),
        *(("a", 0), ("b", 0)),
    ]


def test_a_post_whose_daily_scrapes_were_removed_gets_no_new_ones(db: Database) -> None:
    persist_first_scrapes(db, {"a": (post("1"), [])})
    _finish_everything(db, days_ago=400, key="1")
    db.call_private("prune_units", keep_days=365)

    persist_first_scrapes(db, {"a": (post("1", at=NOON + timedelta(days=400)), [])})

    slots = db.query("select slot from public.scrape_units where source_key = '1'")
    assert slots == [{"slot": 5}]
    assert db.post("1")["scrape_status"] == "completed"


def test_the_ledger_keeps_at_least_three_months(db: Database) -> None:
    with pytest.raises(APIError, match="at least 90 days"):
        db.call_private("prune_units", keep_days=89)


def test_only_the_policy_is_missing_when_another_role_owns_the_storage(
    postgres: PostgresServer, hosted_url: str
) -> None:
    with psycopg.connect(postgres.create_database("foreign_storage"), autocommit=True) as admin:
        prepare = (ROOT / "sql" / "tests" / "as_hosted.sql").read_text()
        admin.execute(prepare.replace("create role hosted_owner", "-- create role").encode())
        admin.execute(_STORAGE_OF_ANOTHER.encode())
    url = postgres.url("foreign_storage")
    apply_migrations(f"{url}?options=-crole%3Dhosted_owner", ROOT / "sql" / "migrations")

    with psycopg.connect(url, autocommit=True) as connection:
        results = connection.execute(
            "select public.missing_policies() -> 'missing', public.schema_version() -> 'version'"
        ).fetchall()
        newest = max((ROOT / "sql" / "migrations").glob("*.sql")).name
        assert results == [([_POLICY], int(newest[:3]))]

        # What the page says to do: the same file in the dashboard's SQL editor.
        file = ROOT / "sql" / "migrations" / "016_create_storage_policy.sql"
        connection.execute(file.read_text().split("-- {} -> {missing}")[0].encode())
        missing = connection.execute("select public.missing_policies() -> 'missing'").fetchall()
        assert missing == [([],)]


def test_doctor_names_a_missing_policy_and_what_to_do(
    db: Database, supabase: SupabaseServer, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        f"SUPABASE_URL={supabase.url}\nSUPABASE_KEY={supabase.secret_key}\n"
        "GOOGLE_SHEETS_CREDENTIALS={}\nGOOGLE_SHEETS_API_URL=http://127.0.0.1:9\n"
        "GOOGLE_SHEET_URL=https://docs.google.com/spreadsheets/d/0123456789/edit\n"
        f"TIKTOK_BASE_URL=http://127.0.0.1:9\nSLIDE_CACHE_DIR={tmp_path}\n"
    )

    def bucket() -> Finding:
        (finding,) = (each for each in check_everything(env_file) if each.name == "bucket")
        return finding

    complete = bucket()
    db.execute(f'drop policy "{_POLICY}" on storage.objects')
    try:
        incomplete = bucket()
    finally:
        db.execute(
            f'create policy "{_POLICY}" on storage.objects for insert to authenticated '
            "with check (bucket_id = 'tiktok-slides')"
        )

    assert complete.ok and complete.message == "bucket 'tiktok-slides' exists and is public"
    assert incomplete.ok and f'the policy "{_POLICY}"' in incomplete.message
    assert "016_create_storage_policy.sql" in incomplete.message


@pytest.mark.parametrize("order", ["created_date desc, id desc", "created_date desc"])
def test_an_index_serves_the_order_that_supabase_js_sends(plain_url: str, order: str) -> None:
    with psycopg.connect(plain_url) as connection:
        connection.execute("set enable_seqscan = off")  # the table is empty
        connection.execute("set enable_sort = off")
        plan = "\n".join(
            line
            for (line,) in connection.execute(
                f"explain select id from public.tiktok_posts order by {order} limit 50".encode()
            )
        )
    assert "using tiktok_posts_created_date_idx" in plan
    assert "Sort" not in plan


def test_paging_by_key_as_documented_returns_every_post_once_in_order(db: Database) -> None:
    db.execute(
        "insert into public.tiktok_posts (tiktok_id, post_url, created_date) "
        "select n::text, 'https://x/' || n, case when n % 3 > 0 then date '2026-03-01' + n % 4 end "
        "from generate_series(1, 23) as n"
    )

    seen: list[dict[str, Any]] = []
    while True:
        page = db.client.table("tiktok_posts").select("id, created_date")
        if seen:  # as docs/queries.md does it
            day, post_id = seen[-1]["created_date"], seen[-1]["id"]
            page = page.or_(
                f"created_date.not.is.null,and(created_date.is.null,id.lt.{post_id})"
                if day is None
                else f"created_date.lt.{day},and(created_date.eq.{day},id.lt.{post_id})"
            )
        ordered = page.order("created_date", desc=True).order("id", desc=True)
        rows = cast("list[dict[str, Any]]", ordered.limit(5).execute().data)
        if not rows:
            break
        seen += rows

    assert seen == db.query(
        "select id, created_date from public.tiktok_posts order by created_date desc, id desc"
    )
