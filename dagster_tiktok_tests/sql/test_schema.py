"""The schema is the contract's, and Supabase's own database lints find nothing in it."""

from __future__ import annotations

import pytest

from dagster_tiktok.ledger import SCHEMA_VERSION
from dagster_tiktok_tests.sql.support import ROOT, TABLES, Database

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
        error_message metrics""",
    "post_metrics": """post_id captured_on captured_at views likes comments shares bookmarks
        followers""",
}


def test_given_the_migrations_then_the_tables_are_those_of_the_contract(database: Database) -> None:
    rows = database.query("select tablename from pg_catalog.pg_tables where schemaname = 'public'")
    assert {row["tablename"] for row in rows} == set(TABLES)


@pytest.mark.parametrize("table", CONTRACT)
def test_given_a_table_then_its_columns_are_exactly_the_contracts(
    database: Database, table: str
) -> None:
    rows = database.query(
        "select column_name from information_schema.columns "
        f"where table_schema = 'public' and table_name = '{table}' order by ordinal_position"
    )
    assert [row["column_name"] for row in rows] == CONTRACT[table].split()


def test_given_tiktok_posts_then_it_has_46_columns() -> None:
    assert len(CONTRACT["tiktok_posts"].split()) == 46


def test_given_a_newest_migration_then_the_schema_version_is_its_number(database: Database) -> None:
    newest = max((ROOT / "sql" / "migrations").glob("*.sql")).name
    assert database.call("schema_version") == {"version": int(newest[:3])}
    assert int(newest[:3]) >= SCHEMA_VERSION


def test_given_the_supabase_folder_then_it_leads_to_the_same_migrations() -> None:
    link = ROOT / "supabase" / "migrations"
    assert link.resolve() == (ROOT / "sql" / "migrations").resolve()
    assert not link.readlink().is_absolute()


_NO_FINDING = {
    "every table and column has a comment": """
        select c.relname, a.attname from pg_catalog.pg_class c
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum >= 0 and not attisdropped
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
          and (pg_catalog.col_description(c.oid, a.attnum) is null
            or pg_catalog.obj_description(c.oid, 'pg_class') is null)""",
    "every function has a comment": """
        select p.proname from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proname <> 'test_sql'
          and pg_catalog.obj_description(p.oid, 'pg_proc') is null""",
    "rls_disabled_in_public": """
        select relname from pg_catalog.pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity""",
    "rls_enabled_no_policy": """
        select relname from pg_catalog.pg_class c
        where relnamespace = 'public'::regnamespace and relkind = 'r'
          and not exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid)""",
    "rls_policy_always_true (for writing)": """
        select policyname from pg_catalog.pg_policies
        where schemaname in ('public', 'storage') and permissive = 'PERMISSIVE' and cmd <> 'SELECT'
          and (qual = 'true' or with_check = 'true')""",
    "policies name their role": """
        select policyname from pg_catalog.pg_policies
        where schemaname in ('public', 'storage') and 'public' = any (roles)""",
    "auth_rls_initplan": """
        select policyname from pg_catalog.pg_policies
        where schemaname in ('public', 'storage')
          and concat(qual, with_check) ~ '(auth\\.|current_setting)'
          and concat(qual, with_check) !~* 'select (auth\\.|current_setting)'""",
    "multiple_permissive_policies": """
        select tablename, cmd from pg_catalog.pg_policies
        where schemaname = 'public' and permissive = 'PERMISSIVE'
        group by 1, 2 having count(*) > 1""",
    "function_search_path_mutable": """
        select proname from pg_catalog.pg_proc
        where pronamespace = 'public'::regnamespace
          and not coalesce('search_path=""' = any (proconfig), false)""",
    "security_definer functions are the audit's": """
        select proname from pg_catalog.pg_proc
        where pronamespace = 'public'::regnamespace and prosecdef
          and proname not in ('audit_post_inserts', 'audit_slide_inserts', 'audit_row_change',
            'prune_audit_log', 'test_sql')""",
    "functions are the secret key's": """
        select p.proname, r.rolname from pg_catalog.pg_proc p, pg_catalog.pg_roles r
        where p.pronamespace = 'public'::regnamespace and r.rolname in ('anon', 'authenticated')
          and pg_catalog.has_function_privilege(r.oid, p.oid, 'execute')""",
    "unindexed_foreign_keys": """
        select conname from pg_catalog.pg_constraint k
        where contype = 'f' and connamespace = 'public'::regnamespace
          and not exists (select from pg_catalog.pg_index i
            where i.indrelid = k.conrelid and i.indkey[0] = k.conkey[1])""",
    "duplicate_index": """
        select indrelid::regclass::text from pg_catalog.pg_index
        where indrelid in (select oid from pg_catalog.pg_class
          where relnamespace = 'public'::regnamespace)
        group by indrelid, indkey::text, indclass::text, indoption::text,
          pg_catalog.pg_get_expr(indpred, indrelid)
        having count(*) > 1""",
    "no_primary_key": """
        select relname from pg_catalog.pg_class c
        where relnamespace = 'public'::regnamespace and relkind = 'r'
          and not exists (select from pg_catalog.pg_index i
            where i.indrelid = c.oid and i.indisprimary)""",
    "views and extensions in public": """
        select relname::text from pg_catalog.pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('v', 'm')
        union all
        select extname::text from pg_catalog.pg_extension
        where extnamespace = 'public'::regnamespace""",
    "times have a zone": """
        select table_name, column_name from information_schema.columns
        where table_schema = 'public' and data_type = 'timestamp without time zone'""",
    "public_bucket_allows_listing": """
        select policyname from pg_catalog.pg_policies
        where schemaname = 'storage' and cmd in ('SELECT', 'ALL')""",
}


@pytest.mark.parametrize("lint", _NO_FINDING)
def test_given_the_catalogue_when_linted_then_nothing_is_found(
    database: Database, lint: str
) -> None:
    assert database.query(_NO_FINDING[lint]) == []


def test_given_counts_when_a_post_is_written_then_the_database_computes_engagement(
    db: Database,
) -> None:
    db.execute(
        "insert into public.tiktok_posts "
        "(tiktok_id, post_url, views, likes, comments, shares, bookmarks) values "
        "('1', 'https://x/1', 10, 5000, 1, 2, 3), "
        "('2', 'https://x/2', 0, 5, null, null, null), "
        "('3', 'https://x/3', null, 9223372036854775807, 9223372036854775807, 1, 1), "
        "('4', 'https://x/4', 7, null, null, null, null), "
        "('5', 'https://x/5', 1, 9223372036854775807, 9223372036854775807, 1, 1)"
    )
    rows = db.query(
        "select engagement::text, engagement_rate::text as rate "
        "from public.tiktok_posts order by id"
    )
    assert [(row["engagement"], row["rate"]) for row in rows] == [
        ("5006", "50060.00"),
        ("5", "0"),
        ("9223372036854775807", "0"),
        (None, None),
        ("9223372036854775807", "1844674407370955161600.00"),
    ]
