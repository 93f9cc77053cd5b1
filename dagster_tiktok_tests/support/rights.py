"""Who may do what, read from the documentation, and the roles that try it."""

from __future__ import annotations

import json
import re
from uuid import uuid4

import psycopg
from psycopg import sql

from dagster_tiktok_tests.support.database import NOON, ROOT, TABLES, slide

ROLES = ("anonymous", "signed in", "secret key")
BUCKET = "tiktok-slides"
ROWS = (ROOT / "sql" / "tests" / "one_row_each.sql").read_text()
_DATABASE_ROLES = {"anonymous": "anon", "signed in": "authenticated", "secret key": "service_role"}
_CELLS = {"yes": True, "no": False}

NEW_ROWS: dict[str, dict[str, object]] = {
    "tiktok_posts": {"tiktok_id": "9", "post_url": "https://x/9"},
    "tiktok_slides": {**slide("1", 9), "post_id": 1000, "post_url": "https://x/1"},
    "scraping_logs": {"batch_id": str(uuid4())},
    "scrape_units": {"source": "sheet", "source_key": "new", "due_date": "2026-01-01"},
    "post_metrics": {
        "post_id": 1000,
        "captured_on": "2026-01-01",
        "captured_at": NOON.isoformat(),
    },
    "audit_log": {"table_name": "x", "row_id": 1, "operation": "update", "actor": "x"},
}
"""A row to insert, by table; `ROWS` fills the tables before."""
CHANGES: dict[str, dict[str, object]] = {
    "tiktok_posts": {"va": "x"},
    "tiktok_slides": {"ocr_text": "x"},
    "scraping_logs": {"run_id": "x"},
    "scrape_units": {"note": "x"},
    "post_metrics": {"views": 7},
    "audit_log": {"actor": "x"},
}


def documented_rights() -> dict[tuple[str, str], dict[str, bool]]:
    """The table of docs/set-up-supabase.md: by thing and operation, whether each role may.

    A thing is what stands in backticks in the first column, or all of it.
    """
    page = (ROOT / "docs" / "set-up-supabase.md").read_text()
    page = page.split("## Who may do what")[1].split("\n## ")[0]
    lines = [line for line in page.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert table[0] == ["what", "operation", *ROLES]
    rights: dict[tuple[str, str], dict[str, bool]] = {}
    for what, operations, *cells in table[2:]:
        for thing in re.findall(r"`([^`]+)`", what) or [what]:
            for operation in operations.split(", "):
                assert (thing, operation) not in rights, f"{thing}, {operation}: twice in the page"
                rights[thing, operation] = dict(zip(ROLES, (_CELLS[cell] for cell in cells)))
    return rights


RIGHTS = documented_rights()
STORAGE_RIGHTS = {what: may for what, may in RIGHTS.items() if what[0] in (BUCKET, "buckets")}
TABLE_RIGHTS = {
    what: may
    for what, may in RIGHTS.items()
    if what[0] in TABLES and what[1] != "select these columns"
}


def act_as(connection: psycopg.Connection, role: str) -> None:
    """The rest of the transaction is done as Supabase's REST interface does it for that role."""
    name = _DATABASE_ROLES[role]
    claims = json.dumps({"role": name, "sub": str(uuid4())})
    connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(name)))
