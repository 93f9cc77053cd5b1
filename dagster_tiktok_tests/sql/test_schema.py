"""The schema is the contract's."""

from __future__ import annotations

import pytest

from dagster_tiktok.database.functions import SCHEMA_VERSION
from dagster_tiktok_tests.support.database import ROOT, TABLES, Database

CONTRACT = {
    "tiktok_posts": """id tiktok_id va_url post_url created_date creator set_id set_code va
        post_type platform account logged_at first_scraped_at last_scraped_at views likes comments
        shares engagement engagement_rate followers hashtags sound sound_url slide_count day1_views
        day2_views day3_views day4_views day5_views scrape_status scrape_interval scrape_count
        days_since_posted ocr_text slides post_description account_verified bookmarks scraped_at
        scraping_method data_quality error batch_id updated_at""",
    "tiktok_slides": """id post_id post_url slide_number slide_url storage_path public_url
        file_size width height mime_type content_hash ocr_text ocr_processed downloaded_at
        uploaded_at""",
    "scraping_logs": """id batch_id batch_started_at batch_completed_at source_type
        source_reference partition_date run_id total_urls successful_scrapes failed_scrapes
        carousel_posts_processed slides_downloaded slides_uploaded duration_seconds status
        error_message metrics failures heartbeat_at""",
    "post_metrics": """post_id captured_on captured_at views likes comments shares bookmarks
        followers""",
    "audit_log": """id table_name row_id operation before after actor changed_at""",
}
LEDGER = """source_key slot due_date state outcome attempts error_kind error tiktok_id batch_id"""
TYPES = {
    "tiktok_posts": {
        "id": "bigint",
        "tiktok_id": "text",
        "created_date": "date",
        "set_id": "integer",
        "logged_at": "timestamp with time zone",
        "views": "bigint",
        "engagement": "bigint",
        "engagement_rate": "numeric",
        "hashtags": "text[]",
        "day5_views": "bigint",
        "scrape_interval": "interval",
        "slides": "jsonb",
        "account_verified": "boolean",
        "batch_id": "uuid",
    },
    "tiktok_slides": {"post_id": "bigint", "slide_number": "integer", "content_hash": "text"},
    "scraping_logs": {"batch_id": "uuid", "partition_date": "date", "metrics": "jsonb"},
    "post_metrics": {"post_id": "bigint", "captured_on": "date", "views": "bigint"},
    "audit_log": {"row_id": "bigint", "before": "jsonb", "after": "jsonb"},
}
UNIQUE = {
    "tiktok_posts": ["(id)", "(post_url)", "(tiktok_id)"],
    "tiktok_slides": ["(id)", "(post_id, slide_number)"],
    "scraping_logs": ["(batch_id)", "(id)"],
    "scrape_units": [
        "(id)",
        "(source_key, slot) WHERE (slot > 0)",
        "(source_key, source) WHERE (slot = 0)",
        "(tiktok_id) WHERE is_origin",
    ],
    "post_metrics": ["(post_id, captured_on)"],
    "audit_log": ["(id)"],
}


def test_the_tables_are_those_of_the_contract(database: Database) -> None:
    rows = database.query("select tablename from pg_catalog.pg_tables where schemaname = 'public'")
    assert {row["tablename"] for row in rows} == set(TABLES)


@pytest.mark.parametrize("table", CONTRACT)
def test_the_columns_are_exactly_those_of_the_contract(database: Database, table: str) -> None:
    rows = database.query(
        "select column_name from information_schema.columns "
        f"where table_schema = 'public' and table_name = '{table}' order by ordinal_position"
    )
    assert [row["column_name"] for row in rows] == CONTRACT[table].split()


def test_the_ledger_has_at_least_the_columns_of_the_contract(database: Database) -> None:
    rows = database.query(
        "select column_name from information_schema.columns "
        "where table_schema = 'public' and table_name = 'scrape_units'"
    )
    assert set(LEDGER.split()) <= {row["column_name"] for row in rows}


@pytest.mark.parametrize("table", TYPES)
def test_the_columns_have_the_types_of_the_contract(database: Database, table: str) -> None:
    rows = database.query(
        "select attname as name, format_type(atttypid, atttypmod) as type "
        f"from pg_catalog.pg_attribute where attrelid = 'public.{table}'::regclass and attnum > 0"
    )
    types = {row["name"]: row["type"] for row in rows}
    assert {name: types[name] for name in TYPES[table]} == TYPES[table]


def test_the_keys_of_the_contract_are_unique(database: Database) -> None:
    rows = database.query(
        "select i.indrelid::regclass::text as name, "
        "substring(pg_get_indexdef(i.indexrelid) from 'btree (.*)') as columns "
        "from pg_catalog.pg_index as i join pg_catalog.pg_class as c on c.oid = i.indrelid "
        "where c.relnamespace = 'public'::regnamespace and i.indisunique order by 2"
    )
    unique: dict[str, list[str]] = {table: [] for table in TABLES}
    for row in rows:
        unique[row["name"].removeprefix("public.")].append(row["columns"])
    assert unique == UNIQUE


def test_tiktok_posts_has_46_columns() -> None:
    assert len(CONTRACT["tiktok_posts"].split()) == 46


def test_the_schema_version_is_the_number_of_the_newest_migration(database: Database) -> None:
    newest = max((ROOT / "sql" / "migrations").glob("*.sql")).name
    assert database.call("schema_version") == {"version": int(newest[:3])}
    assert int(newest[:3]) >= SCHEMA_VERSION


def test_the_supabase_folder_leads_to_the_same_migrations() -> None:
    link = ROOT / "supabase" / "migrations"
    assert link.resolve() == (ROOT / "sql" / "migrations").resolve()
    assert not link.readlink().is_absolute()
