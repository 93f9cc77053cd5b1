"""Who may do what with the bucket: the page's table, proven by trying over Storage's interface.

By its URLs and not by a client library: each request is one of the operations, and nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.database import Database, signed_in_token
from dagster_tiktok_tests.support.rights import BUCKET, ROLES, STORAGE_RIGHTS

JPEG = b"\xff\xd8\xff\xe0" + b"0" * 100
OTHER_JPEG = JPEG + b"1"
IMAGE = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def clients(supabase: SupabaseServer) -> Iterator[dict[str, httpx.Client]]:
    users_key = supabase.publishable_key
    keys = {
        "anonymous": (users_key, users_key),
        "signed in": (users_key, signed_in_token(supabase)),
        "secret key": (supabase.secret_key, supabase.secret_key),
    }
    opened = {
        role: httpx.Client(
            base_url=f"{supabase.url}/storage/v1",
            headers={"apikey": key, "authorization": f"Bearer {token}"},
        )
        for role, (key, token) in keys.items()
    }
    yield opened
    for client in opened.values():
        client.close()


def _upload(
    client: httpx.Client, path: str, body: bytes = JPEG, mime_type: str = "image/jpeg"
) -> httpx.Response:
    return client.post(f"/object/{path}", content=body, headers={"content-type": mime_type})


# Each takes the role's client and the name of a folder, which holds 1.jpeg in the slides' bucket
# and is also the name of another bucket. Returns whether it got what it asked for.
TRIES: dict[tuple[str, str], Callable[[httpx.Client, str], bool]] = {
    (BUCKET, "download by URL"): lambda client, at: (
        httpx.get(f"{client.base_url}object/public/{BUCKET}/{at}/1.jpeg").content == JPEG
    ),
    (BUCKET, "list"): lambda client, at: (
        _json(client.post(f"/object/list/{BUCKET}", json={"prefix": at, "limit": 9})) != []
    ),
    (BUCKET, "sign a URL"): lambda client, at: (
        client.post(f"/object/sign/{BUCKET}/{at}/1.jpeg", json={"expiresIn": 60}).is_success
    ),
    (BUCKET, "upload"): lambda client, at: _upload(client, f"{BUCKET}/{at}/2.jpeg").is_success,
    (BUCKET, "sign an upload"): lambda client, at: (
        client.post(f"/object/upload/sign/{BUCKET}/{at}/2.jpeg").is_success
    ),
    (BUCKET, "replace"): lambda client, at: (
        client.post(
            f"/object/{BUCKET}/{at}/1.jpeg",
            content=OTHER_JPEG,
            headers={**IMAGE, "x-upsert": "true"},
        ).is_success
    ),
    (BUCKET, "update"): lambda client, at: (
        client.put(f"/object/{BUCKET}/{at}/1.jpeg", content=OTHER_JPEG, headers=IMAGE).is_success
    ),
    (BUCKET, "move"): lambda client, at: client.post("/object/move", json=_way(at)).is_success,
    (BUCKET, "copy"): lambda client, at: client.post("/object/copy", json=_way(at)).is_success,
    (BUCKET, "remove"): lambda client, at: (
        _json(client.request("DELETE", f"/object/{BUCKET}", json={"prefixes": [f"{at}/1.jpeg"]}))
        != []
    ),
    ("buckets", "list"): lambda client, _: _json(client.get("/bucket")) != [],
    ("buckets", "create"): lambda client, at: (
        client.post("/bucket", json={"id": f"new-{at}", "name": f"new-{at}"}).is_success
    ),
    ("buckets", "change"): lambda client, at: (
        client.put(f"/bucket/{at}", json={"id": at, "name": at, "public": True}).is_success
    ),
    ("buckets", "delete"): lambda client, at: client.delete(f"/bucket/{at}").is_success,
}
READS = {"download by URL", "list", "sign a URL", "sign an upload"}


def _way(at: str) -> dict[str, str]:
    return {
        "bucketId": BUCKET,
        "sourceKey": f"{at}/1.jpeg",
        "destinationKey": f"{at}/3.jpeg",
    }


def _json(response: httpx.Response) -> Any:
    return response.raise_for_status().json()


def _stored(database: Database) -> list[dict[str, Any]]:
    return database.query(
        "select bucket_id, name, metadata ->> 'eTag' as content from storage.objects "
        "union all select id, null, public::text from storage.buckets order by 1, 2"
    )


def test_the_docs_say_who_may_use_the_bucket() -> None:
    assert set(STORAGE_RIGHTS) == set(TRIES)


@pytest.mark.parametrize(("thing", "operation"), TRIES)
@pytest.mark.parametrize("role", ROLES)
def test_rights_on_the_bucket_are_as_documented(
    clients: dict[str, httpx.Client], database: Database, role: str, thing: str, operation: str
) -> None:
    at = uuid4().hex
    _upload(clients["secret key"], f"{BUCKET}/{at}/1.jpeg").raise_for_status()
    _json(clients["secret key"].post("/bucket", json={"id": at, "name": at, "public": False}))
    before = _stored(database)

    may = TRIES[thing, operation](clients[role], at)

    assert may == STORAGE_RIGHTS[thing, operation][role]
    assert (_stored(database) != before) == (may and operation not in READS)


@pytest.mark.parametrize("role", ["signed in", "secret key"])
def test_an_upload_that_is_no_image_or_too_large_is_rejected(
    clients: dict[str, httpx.Client], role: str
) -> None:
    at = uuid4().hex
    for mime_type in ("text/html", "image/svg+xml", "application/zip"):
        response = _upload(clients[role], f"{BUCKET}/{at}/1", mime_type=mime_type)
        assert response.is_client_error, mime_type
    large = JPEG + b"0" * 20 * 1024 * 1024
    assert _upload(clients[role], f"{BUCKET}/{at}/large.jpeg", large).is_client_error


@pytest.mark.parametrize("role", ["anonymous", "signed in"])
def test_users_upload_nothing_to_another_bucket(
    clients: dict[str, httpx.Client], role: str
) -> None:
    other = uuid4().hex
    _json(clients["secret key"].post("/bucket", json={"id": other, "name": other, "public": True}))

    assert _upload(clients[role], f"{other}/1.jpeg").is_client_error
