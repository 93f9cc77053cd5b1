"""Supabase's own database lints find nothing, and would find what they are there for."""

from __future__ import annotations

import re

import psycopg
import pytest

from dagster_tiktok_tests.support.database import ROOT, Database

LINTS = (ROOT / "sql" / "tests" / "lints.sql").read_text()
_POLICY = "create policy p on public.post_metrics"
_FUNCTION = "create function public.f() returns integer language sql set search_path = ''"
_OBJECTS = """
    create schema storage;
    create table storage.objects (id bigint primary key);
    alter table storage.objects enable row level security;
    create policy p on storage.objects for select to anon using (true)"""

# By lint, statements of which each is what it finds.
WRONG = {
    "rls_disabled_in_public": [
        "create table public.t (id bigint primary key)",
        "create table private.t (id bigint primary key)",
    ],
    "policy_exists_rls_disabled": ["alter table public.post_metrics disable row level security"],
    "rls_enabled_no_policy": ['drop policy "nobody reads the ledger" on public.scrape_units'],
    "rls_policy_always_true": [
        f"{_POLICY} for all to anon using (true)",
        f"{_POLICY} for delete to authenticated using (1 = 1)",
        f"{_POLICY} for update to authenticated using (views > 1) with check (true)",
        f"{_POLICY} for insert to public with check (true)",
    ],
    "auth_rls_initplan": [
        f"{_POLICY} for delete to authenticated using (current_setting('a.b') = 'c')",
        "create schema auth; "
        "create function auth.uid() returns uuid language sql as 'select null::uuid'; "
        f"{_POLICY} for delete to authenticated using ((select auth.uid()) <> auth.uid())",
    ],
    "multiple_permissive_policies": [
        f"{_POLICY} for select to authenticated using (views > 1)",
        f"{_POLICY} for all to authenticated using (views > 1)",
    ],
    "public_bucket_allows_listing": [_OBJECTS],
    "security_definer_view": [
        "create view public.v as select 1 as id",
        "create view public.v with (security_invoker = false) as select 1 as id",
    ],
    "materialized_view_in_api": ["create materialized view public.m as select 1 as id"],
    "extension_in_public": ["create extension pg_trgm schema public"],
    "sensitive_columns_exposed": [
        "alter table public.tiktok_posts add column account_password text",
        "alter table public.scrape_units add column api_key text; "
        "grant select (api_key) on public.scrape_units to anon",
    ],
    "function_search_path_mutable": [
        "create function public.f() returns integer language sql as 'select 1'",
        "alter function public.open_units(jsonb) reset search_path",
        "alter function private.known_slides(text) reset search_path",
    ],
    "anon_security_definer_function_executable": [f"{_FUNCTION} security definer as 'select 1'"],
    "authenticated_security_definer_function_executable": [
        "grant execute on function private.audit_deletes() to authenticated"
    ],
    "unindexed_foreign_keys": [
        "alter table public.post_metrics drop constraint post_metrics_pkey",
        "alter table public.scraping_logs add foreign key (source_reference) "
        "references public.tiktok_posts (tiktok_id)",
    ],
    "duplicate_index": [
        "create index on public.tiktok_posts (tiktok_id)",
        "create index i on public.tiktok_posts (creator, created_date desc)",
    ],
    "no_primary_key": [
        "create table public.t (id bigint)",
        "create table private.t (id bigint)",
    ],
    "private_schema_open_to_users": [
        "grant usage on schema private to authenticated",
        "grant create on schema private to public",
    ],
    "type_usable_by_users": [
        "create type private.t as (id bigint)",
        "grant usage on type private.unit_payload to anon",
    ],
    "part_in_public": [
        f"{_FUNCTION} as 'select 1'",
        "create function public.f(a jsonb, b jsonb) returns jsonb language sql "
        "set search_path = '' as 'select a'",
    ],
    "policy_without_role": [f"{_POLICY} for select using (views > 1)"],
    "function_executable_by_users": [
        f"{_FUNCTION} as 'select 1'",
        "create function private.f() returns integer language sql set search_path = '' "
        "as 'select 1'",
    ],
    "right_of_users": [
        "grant insert on public.post_metrics to authenticated",
        "grant truncate on public.audit_log to anon",
        "grant usage on sequence public.tiktok_posts_id_seq to authenticated",
        "grant select on public.tiktok_posts to public",
        "create table private.t (id bigint primary key); "
        "grant select on private.t to authenticated",
    ],
    "time_without_zone": ["alter table public.post_metrics add column at timestamp"],
    "no_comment": [
        "comment on table public.post_metrics is null",
        "comment on column public.post_metrics.views is null",
        "comment on function public.open_units(jsonb) is null",
        "comment on function private.known_slides(text) is null",
    ],
}


def test_the_local_supabase_has_no_lint_findings(database: Database) -> None:
    # At its first request, @supabase/lite (0.10, `ensureRlsContext` of its PGlite driver) grants
    # the roles of its interface usage of every schema that has a table with row level security, and
    # all rights on its tables. No setting prevents that. Row level security and what the interface
    # serves hold there: test_interface.py tries them. The next test leaves nothing out.
    found = database.query(
        f"select * from ({LINTS}) as f where lint <> 'right_of_users' and (lint, found) not in "
        "(('private_schema_open_to_users', 'anon USAGE'), "
        "('private_schema_open_to_users', 'authenticated USAGE'))"
    )
    assert found == []


def test_a_hosted_projects_default_rights_have_no_lint_findings(hosted_url: str) -> None:
    with psycopg.connect(hosted_url) as connection:
        assert connection.execute(LINTS.encode()).fetchall() == []


def test_every_lint_has_an_example_that_it_finds() -> None:
    names = set(re.findall(r"^select '(\w+)'", LINTS, re.MULTILINE))
    definer = "_security_definer_function_executable"
    assert names | {f"anon{definer}", f"authenticated{definer}"} == set(WRONG)


@pytest.mark.parametrize(
    ("lint", "statement"), [(lint, wrong) for lint, all_ in WRONG.items() for wrong in all_]
)
def test_each_lint_finds_its_example(plain_url: str, lint: str, statement: str) -> None:
    with psycopg.connect(plain_url) as connection:
        connection.execute(statement.encode())
        found = connection.execute(LINTS.encode()).fetchall()
        connection.rollback()
    assert lint in {name for name, _ in found}
