"""The docs of the database: generated from it, and run against it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from dagster_tiktok.sandbox.serve import MARK
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.slides.stats import MoveStats
from dagster_tiktok_tests.support.database import ROOT, TABLES, Database, client_of, signed_in_token
from tools.schema_docs import PAGE, catalogue, schema_page

EXAMPLES = ROOT / "docs" / "database.md"
GUIDE = ROOT / "docs" / "migrate.md"
DAY = re.compile(r"\bDAY = \"([\d-]+)|NEXT_DAY = .*\"([\d-]{10})\"|partition_date\": \"([\d-]+)")
OPERATE = ROOT / "docs" / "operate.md"


class Block(NamedTuple):
    """A fenced block; `line` is that of its first line in the page."""

    language: str
    text: str
    line: int


def _blocks(file: Path) -> Iterator[Block]:
    page = file.read_text(encoding="utf-8")
    for fence in re.finditer(r"^```(\w+)( no-test)?\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        if not fence[2]:
            yield Block(fence[1], fence[3], page.count("\n", 0, fence.start(3)) + 1)


def test_the_schema_page_is_fresh(postgres_url: str) -> None:
    written = schema_page(catalogue(postgres_url))
    assert PAGE.read_text(encoding="utf-8") == written, "docs/schema.md is stale: run make docs"


def test_the_examples_return_what_the_page_says(
    supabase: SupabaseServer, db: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", supabase.url)
    monkeypatch.setenv("SUPABASE_KEY", supabase.secret_key)
    # Signing in through supabase-py does not work with the local Supabase; a session does.
    dashboard = client_of(supabase, supabase.publishable_key, signed_in_token(supabase))
    names: dict[str, Any] = {"dashboard": dashboard}
    results: dict[str, Any] = {}
    with psycopg.connect(postgres_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute((ROOT / "sql" / "tests" / "storage.sql").read_bytes())
        connection.execute((MARK / "899_mark_sandbox.sql").read_bytes())
        connection.execute((ROOT / "sql" / "sandbox" / "900_move_clock.sql").read_bytes())
        for block in _blocks(EXAMPLES):
            where = f"docs/database.md, line {block.line}"
            for day in map("".join, DAY.findall(block.text)):  # the days that the page plays
                db.call("sandbox_clock", to=f"{day}T02:00:00Z")
                connection.execute(
                    "select public.sandbox_clock(%s)", [json.dumps({"to": f"{day}T02:00:00Z"})]
                )
            if block.language == "python":
                results["python"] = _run(block.text, names, where)
            elif block.language == "sql":
                results["sql"] = _query(connection, block.text)
            else:
                expected = json.loads(block.text)
                assert results == dict.fromkeys(results, expected), where
                results.clear()


def test_each_table_and_function_has_an_example_in_both_languages(postgres_url: str) -> None:
    code = {"python": "", "sql": ""}
    for block in _blocks(EXAMPLES):
        if block.language in code:
            code[block.language] += block.text
    functions = catalogue(postgres_url)["functions"]
    names = [each["name"] for each in functions if each["kind"] == "interface"]
    words = {language: set(re.findall(r"[\w.]+", text)) for language, text in code.items()}
    assert {*names, *TABLES} - words["python"] == set()
    assert {f"public.{name}" for name in (*names, *TABLES)} - words["sql"] == set()


def test_the_queries_for_operators_of_slides_run(postgres_url: str) -> None:
    slides = MoveStats(uploaded=2, failed=1)
    slides.by_kind["corrupt"] += 1
    slides.count_download("p16.tiktokcdn.com", size=2_500_000, seconds=0.5)
    slides.count_failed_request("p19.tiktokcdn.com", "network", size=0)
    batch = """
        select public.open_batch(jsonb_build_object('batch_id', %(id)s::text, 'source_type', 'x',
            'source_reference', 'x', 'partition_date', '2026-03-10', 'run_id', 'x')),
          public.record_stage(jsonb_build_object('batch_id', %(id)s::text, 'stage', 'slide_files',
            'metrics', %(metrics)s::jsonb))
    """
    with psycopg.connect(postgres_url, autocommit=True, row_factory=dict_row) as connection:
        metrics = json.dumps(slides.as_metrics())
        connection.execute(batch, {"id": str(uuid4()), "metrics": metrics})
        runs, hosts, waiting, partial = (_query(connection, b.text) for b in _blocks(OPERATE))
    assert len(runs) == 1
    assert (runs[0]["successful"], runs[0]["failed"], runs[0]["megabytes"]) == (2, 1, "2.5")
    assert runs[0]["failed_by_kind"] == {"corrupt": 1}
    assert [host["host"] for host in hosts] == ["p19.tiktokcdn.com", "p16.tiktokcdn.com"]
    assert (waiting, partial) == ([], [])


def test_the_last_migration_of_the_guide_undoes_the_first(postgres_url: str) -> None:
    schemas = [catalogue(postgres_url)]
    for block in _blocks(GUIDE):
        # Without autocommit: a transaction each, as the command line tool applies a file.
        with psycopg.connect(postgres_url) as connection:
            connection.execute(block.text.encode())
        schemas.append(catalogue(postgres_url))
    before, changed, after = schemas
    assert changed != before
    assert after == before


def _run(code: str, names: dict[str, Any], where: str) -> Any:
    """The value of the last expression, as a prompt shows it."""
    *statements, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        statements.append(last)
    exec(compile(ast.Module(statements, type_ignores=[]), where, "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), where, "eval"), names)
    return None


def _query(connection: psycopg.Connection[dict[str, Any]], sql: str) -> Any:
    """The rows of the last statement as PostgREST would give them; of a single cell its value."""
    cursor = connection.execute(sql.encode())
    while cursor.nextset():
        pass
    rows = json.loads(json.dumps(cursor.fetchall(), default=str))
    if len(rows) == 1 and len(rows[0]) == 1:
        (rows,) = rows[0].values()
    return rows
