"""Who may do what, proven by trying: three roles, every table, every function, the bucket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from postgrest.exceptions import APIError
from storage3.exceptions import StorageApiError
from supabase import Client

from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.sql.support import (
    NOON,
    TABLES,
    Database,
    client_of,
    new_batch,
    post,
    row,
    signed_in_client,
    slide,
)

READABLE = {"tiktok_posts", "tiktok_slides", "scraping_logs", "post_metrics"}
KEYS = {
    "tiktok_posts": "id",
    "tiktok_slides": "id",
    "scraping_logs": "id",
    "scrape_units": "id",
    "post_metrics": "post_id",
    "audit_log": "id",
}
NEW_ROWS: dict[str, dict[str, Any]] = {
    "tiktok_posts": {"tiktok_id": "9", "post_url": "https://x/9"},
    "tiktok_slides": {
        **{k: v for k, v in slide("1", 9).items() if k != "image_key"},
        "post_id": 1,
        "post_url": "https://x/1",
    },
    "scraping_logs": {"batch_id": new_batch()},
    "scrape_units": {"source_key": "new", "due_date": "2026-01-01"},
    "post_metrics": {
        "post_id": 1,
        "captured_on": "2026-01-01",
        "captured_at": NOON.isoformat(),
    },
    "audit_log": {"table_name": "x", "row_id": 1, "operation": "update", "actor": "x"},
}
CHANGES: dict[str, dict[str, Any]] = {
    "tiktok_posts": {"va": "x"},
    "tiktok_slides": {"ocr_text": "x"},
    "scraping_logs": {"run_id": "x"},
    "scrape_units": {"note": "x"},
    "post_metrics": {"views": 1},
    "audit_log": {"actor": "x"},
}
JPEG = b"\xff\xd8\xff\xe0" + b"0" * 100


@pytest.fixture
def clients(supabase: SupabaseServer, db: Database) -> dict[str, Client]:
    """The three roles, on tables with one row each."""
    batch = new_batch()
    db.call("open_batch", batch_id=batch, partition_date="2026-03-10")
    db.open(row("a"), batch=batch)
    (unit,) = db.claimed("pending", batch=batch)
    db.take_through({unit["id"]: (post("1", slides=1), [slide("1", 1)])}, batch=batch)
    return {
        "anonymous": client_of(supabase, supabase.publishable_key),
        "signed in": signed_in_client(supabase),
        "secret": db.client,
    }


def _affected(work: Callable[[], Any]) -> int:
    """How many rows an operation saw or changed; 0 if it is refused."""
    try:
        return len(work().data)
    except APIError as error:
        assert "permission denied" in str(error.message) or "row-level" in str(error.message), error
        return 0


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", ["anonymous", "signed in", "secret"])
def test_given_a_role_when_it_tries_a_table_then_it_may_do_what_the_docs_say(
    clients: dict[str, Client], role: str, table: str
) -> None:
    client, key = clients[role], KEYS[table]
    writes = role == "secret" and table != "audit_log"
    reads = role == "secret" or (role == "signed in" and table in READABLE)

    selected = _affected(lambda: client.table(table).select("*").execute())
    inserted = _affected(lambda: client.table(table).insert(NEW_ROWS[table]).execute())
    updated = _affected(lambda: client.table(table).update(CHANGES[table]).gte(key, 0).execute())
    deleted = _affected(lambda: client.table(table).delete().gte(key, 0).execute())

    assert (selected > 0) == reads
    assert [inserted > 0, updated > 0, deleted > 0] == [writes] * 3


@pytest.mark.parametrize("role", ["anonymous", "signed in"])
def test_given_a_publishable_key_when_it_calls_any_function_then_it_is_refused(
    clients: dict[str, Client], db: Database, role: str
) -> None:
    functions = db.query(
        "select proname, proargnames from pg_catalog.pg_proc "
        "where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype"
    )
    assert len(functions) > 15
    for function in functions:
        names = function["proargnames"] or []
        with pytest.raises(APIError) as refused:
            clients[role].rpc(function["proname"], dict.fromkeys(names)).execute()
        assert "permission denied" in str(refused.value.message), function


def test_given_a_wrong_key_then_nothing_is_answered(supabase: SupabaseServer) -> None:
    for key in ("sb_secret_wrong", "sb_publishable_wrong"):
        answer = httpx.get(f"{supabase.url}/rest/v1/tiktok_posts", headers={"apikey": key})
        assert answer.status_code == 401
    assert httpx.get(f"{supabase.url}/rest/v1/tiktok_posts").status_code == 401


def _upload(client: Client, path: str, body: bytes, mime_type: str = "image/jpeg") -> None:
    client.storage.from_("tiktok-slides").upload(path, body, {"content-type": mime_type})


def test_given_the_bucket_then_only_signed_in_and_secret_keys_upload(
    clients: dict[str, Client],
) -> None:
    for role, allowed in {"anonymous": False, "signed in": True, "secret": True}.items():
        path = f"1/{role.replace(' ', '-')}.jpeg"
        if allowed:
            _upload(clients[role], path, JPEG)
        else:
            with pytest.raises(StorageApiError):
                _upload(clients[role], path, JPEG)


def test_given_an_object_then_it_is_read_by_address_and_listed_by_the_secret_key_only(
    clients: dict[str, Client],
) -> None:
    _upload(clients["secret"], "2/01-object.jpeg", JPEG)
    bucket = clients["secret"].storage.from_("tiktok-slides")

    answer = httpx.get(bucket.get_public_url("2/01-object.jpeg"))

    assert (answer.status_code, answer.content) == (200, JPEG)
    assert answer.headers["content-type"] == "image/jpeg"
    for role, visible in {"anonymous": 0, "signed in": 0, "secret": 1}.items():
        assert len(clients[role].storage.from_("tiktok-slides").list("2")) == visible, role


@pytest.mark.parametrize("role", ["anonymous", "signed in"])
def test_given_an_object_then_users_neither_replace_nor_remove_it(
    clients: dict[str, Client], role: str
) -> None:
    path = f"3/01-{role.replace(' ', '-')}.jpeg"
    _upload(clients["secret"], path, JPEG)
    bucket = clients[role].storage.from_("tiktok-slides")

    with pytest.raises(StorageApiError):
        bucket.upload(path, JPEG + b"1", {"content-type": "image/jpeg", "upsert": "true"})
    assert bucket.remove([path]) == []

    assert httpx.get(bucket.get_public_url(path)).content == JPEG


def test_given_something_that_is_no_picture_or_too_large_then_it_is_refused(
    clients: dict[str, Client],
) -> None:
    for mime_type in ("text/html", "image/svg+xml", "application/zip"):
        with pytest.raises(StorageApiError):
            _upload(clients["secret"], f"4/{mime_type.replace('/', '-')}", JPEG, mime_type)
    with pytest.raises(StorageApiError):
        _upload(clients["secret"], "4/large.jpeg", JPEG + b"0" * 20 * 1024 * 1024)


def test_given_another_bucket_then_signed_in_users_do_not_upload_to_it(
    clients: dict[str, Client], db: Database
) -> None:
    db.execute(
        "insert into storage.buckets (id, name, public) values ('other', 'other', true) "
        "on conflict do nothing"
    )
    with pytest.raises(StorageApiError):
        clients["signed in"].storage.from_("other").upload(
            "1.jpeg", JPEG, {"content-type": "image/jpeg"}
        )
