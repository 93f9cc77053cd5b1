"""Where the local Supabase is another than a hosted one: each is in docs/set-up-supabase.md.

The day that one of these tests fails, the local Supabase has learnt it: take it out of the page.
"""

from __future__ import annotations

import re

import psycopg
import pytest

from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.database import ROOT, Database, new_batch, signed_in_client
from dagster_tiktok_tests.support.rights import act_as

PAGE = (ROOT / "docs" / "set-up-supabase.md").read_text()
HIDDEN = ("source_reference", "error_message", "failures")


@pytest.mark.parametrize("column", HIDDEN)
def test_only_postgresql_rejects_a_column_without_a_grant(
    db: Database, supabase: SupabaseServer, plain_url: str, column: str
) -> None:
    given = {"source_type": "x", "source_reference": "x", "partition_date": "2026-11-20"}
    db.call("open_batch", batch_id=new_batch(), run_id="x", **given)
    rows = signed_in_client(supabase).table("scraping_logs").select(column).execute().data
    assert len(rows) == 1
    with psycopg.connect(plain_url) as connection:
        act_as(connection, "signed in")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"select {column} from public.scraping_logs".encode())
    assert "| Column privileges |" in PAGE


def test_the_local_supabase_sends_times_as_postgresql_prints_them(
    db: Database, supabase: SupabaseServer
) -> None:
    post = {"tiktok_id": "1", "post_url": "https://x/1", "views": 80, "likes": 1}
    rest = db.client.table("tiktok_posts")
    rest.insert(post).execute()
    (row,) = rest.select("updated_at, engagement_rate").execute().data
    assert isinstance(row, dict)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*\+00", str(row["updated_at"]))
    assert row["engagement_rate"] == 1.25
    assert "| Times |" in PAGE
