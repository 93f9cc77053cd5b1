"""What strangers and signed-in users get from the REST interface: nothing that is not theirs.

Every request that could give a secret away is sent to a batch whose hidden columns, and a ledger
whose rows, hold a marker; no response may hold it. The columns that a signed-in user may not read
are tried in test_access.py, on PostgreSQL: the local Supabase grants him the whole table.
"""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.database import TABLES, Database, row, signed_in_token

MARKER = "marker-of-a-secret"
HIDDEN = ("source_reference", "error_message", "failures")
ROLES = ("stranger", "anonymous", "signed in")


@pytest.fixture
def marked(db: Database) -> Database:
    """A batch with the sheet's URL and texts of servers, and a unit of the ledger."""
    batch = str(uuid4())
    db.call(
        "open_batch", batch_id=batch, source_type="google_sheet", source_reference=MARKER,
        partition_date="2026-11-22", run_id=batch,
    )  # fmt: skip
    db.call(
        "record_stage", batch_id=batch, stage="sheet_rows", metrics={"rows": 1},
        failures={"sheets_failed": {"sheet 1": MARKER}},
    )  # fmt: skip
    db.open(row(MARKER), batch=batch)
    db.call(
        "close_batch", batch_id=batch, timezone="UTC", sources=["sheet"], error=f"it said {MARKER}"
    )
    db.call("written_errors", found=[], writing=["a" * 64])
    stored = db.one("select source_reference, error_message, failures from public.scraping_logs")
    assert all(MARKER in str(value) for value in stored.values())
    return db


def _requests(database: Database) -> list[tuple[str, str, dict[str, str]]]:
    """(method, path, headers): tables, columns, filters, orders, embeddings, functions, schemas."""
    private = {"Accept-Profile": "private", "Content-Profile": "private"}
    names = {f["name"] for f in database.query(
        "select proname as name from pg_catalog.pg_proc "
        "where pronamespace::regnamespace::text in ('public', 'private')"
    )}  # fmt: skip
    paths = [("GET", "/rest/v1/")]
    paths += [("GET", f"/rest/v1/{table}") for table in (*TABLES, "written_errors")]
    paths += [
        ("GET", f"/rest/v1/scraping_logs?select={column}") for column in HIDDEN
    ] + [  # what a filter or an order tells is told too
        ("GET", f"/rest/v1/scraping_logs?select=id&{column}=like.*marker*") for column in HIDDEN
    ] + [
        ("GET", f"/rest/v1/scraping_logs?select=id&order={column}") for column in HIDDEN
    ] + [
        ("GET", f"/rest/v1/scraping_logs?select=id,x:{column}") for column in HIDDEN
    ]  # fmt: skip
    paths += [
        ("GET", "/rest/v1/scraping_logs?select=id,failures->sheet_rows->>sheets_failed"),
        ("GET", "/rest/v1/scraping_logs?select=id&or=(error_message.not.is.null,id.gt.0)"),
        ("PATCH", "/rest/v1/scraping_logs?id=gt.0&select=source_reference"),
        ("DELETE", "/rest/v1/scraping_logs?id=gt.0&select=error_message"),
        ("GET", "/rest/v1/tiktok_posts?select=id,scrape_units(*)"),
        ("GET", "/rest/v1/tiktok_posts?select=id,audit_log(*)"),
        ("GET", "/storage/v1/bucket"),
    ]
    sent: list[tuple[str, str, dict[str, str]]] = [(method, path, {}) for method, path in paths]
    sent += [("GET", f"/rest/v1/{table}", private) for table in (*TABLES, "written_errors")]
    for name in sorted(names):
        sent += [
            (method, f"/rest/v1/rpc/{name}", headers)
            for method in ("GET", "POST")
            for headers in ({}, private)
        ]
    return sent


@pytest.mark.parametrize("role", ROLES)
def test_no_response_of_the_api_holds_what_is_hidden(
    supabase: SupabaseServer, marked: Database, role: str
) -> None:
    key: dict[str, str] = {}
    if role != "stranger":
        key["apikey"] = supabase.publishable_key
    if role == "signed in":
        key["Authorization"] = f"Bearer {signed_in_token(supabase)}"
    before = marked.query("select * from public.scraping_logs")

    requests = [
        (method, path, headers)
        for method, path, headers in _requests(marked)
        if role != "signed in" or headers or not path.startswith("/rest/v1/scraping_logs")
    ]
    assert len(requests) > 200
    given, leaked = [], []
    with httpx.Client(base_url=supabase.url, headers=key) as client:
        for method, path, headers in requests:
            body: dict[str, object] = {"p": {}} if method == "POST" else {"status": "failed"}
            response = client.request(
                method, path, headers=headers, json=body if method in ("POST", "PATCH") else None
            )
            if MARKER in response.text or any(
                said in response.text for said in ("PGlite", "node_modules", "    at ")
            ):
                leaked.append((method, path, response.text[:200]))
            if response.is_success and response.text not in ("", "[]"):
                given.append((method, path.partition("?")[0]))

    assert leaked == []
    assert marked.query("select * from public.scraping_logs") == before
    # The list of what there is; the tables that a signed-in user reads are empty but for batches.
    assert {path for _, path in given} <= {"/rest/v1/"}
