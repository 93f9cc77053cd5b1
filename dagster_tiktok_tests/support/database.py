"""A real database for the tests, and the records that they put into it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from supabase import Client, ClientOptions, create_client

from dagster_tiktok.sandbox.serve import MARK
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
FAR = NOON + timedelta(days=3650)
SHEET = "1sheet#gid=0"
LATEST = date(9999, 12, 31)
ScrapePasses = dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]
"""Posts and their stored slides, by the key of their row."""
TABLES = (
    "tiktok_posts",
    "tiktok_slides",
    "scraping_logs",
    "scrape_units",
    "post_metrics",
    "audit_log",
)
CONTENTS = " union all ".join(
    f"select '{table}' as name, coalesce(jsonb_agg(to_jsonb(t) order by to_jsonb(t)::text), '[]') "
    f"as rows from public.{table} as t"
    for table in TABLES
) + (
    " union all select 'written_errors', coalesce(jsonb_agg(to_jsonb(t)), '[]') "
    "from private.written_errors as t"
)
"""A query for all rows of all tables, in an order that depends on nothing else."""


def migrations_for_tests(folder: Path) -> Path:
    """The project's migrations, the sandbox's clock and the tests' own function, in one folder."""
    shutil.copytree(ROOT / "sql" / "migrations", folder)
    shutil.copy(MARK / "899_mark_sandbox.sql", folder)
    shutil.copy(ROOT / "sql" / "sandbox" / "900_move_clock.sql", folder)
    shutil.copy(ROOT / "sql" / "tests" / "901_run_sql.sql", folder)
    return folder


def client_of(server: SupabaseServer, key: str, token: str | None = None) -> Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    options = ClientOptions(headers=headers, auto_refresh_token=False, persist_session=False)
    return create_client(server.url, key, options)


def signed_in_client(server: SupabaseServer) -> Client:
    """A user with a session: the publishable key and a token that the server has signed."""
    return client_of(server, server.publishable_key, signed_in_token(server))


def signed_in_token(server: SupabaseServer) -> str:
    claims = {
        "sub": str(uuid4()),
        "role": "authenticated",
        "aud": "authenticated",
        "exp": int(time.time()) + 3600,
    }
    head = _base64url(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _base64url(json.dumps(claims).encode())
    signature = hmac.new(server.jwt_secret.encode(), f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{_base64url(signature.digest())}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Database:
    """The database as the pipeline's functions see it, and its tables as a test checks them."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        return cast("dict[str, Any]", self.client.rpc(function, {"p": arguments}).execute().data)

    def call_private(self, function: str, **arguments: Any) -> dict[str, Any]:
        """A function that the interface does not serve, as the database's owner calls it."""
        given = json.dumps(arguments).replace("'", "''")
        result = self.one(f"select private.{function}('{given}'::jsonb) as result")["result"]
        return cast("dict[str, Any]", result)

    def query(self, sql: str) -> list[dict[str, Any]]:
        rows = self.client.rpc("test_sql", {"p": {"query": sql}}).execute().data
        return cast("list[dict[str, Any]]", rows)

    def execute(self, sql: str) -> None:
        self.client.rpc("test_sql", {"p": {"statement": sql}}).execute()

    def one(self, sql: str) -> dict[str, Any]:
        rows = self.query(sql)
        assert len(rows) == 1, rows
        return rows[0]

    def unit(self, unit_id: int) -> dict[str, Any]:
        return self.one(f"select * from public.scrape_units where id = {unit_id}")

    def post(self, tiktok_id: str) -> dict[str, Any]:
        return self.one(f"select * from public.tiktok_posts where tiktok_id = '{tiktok_id}'")

    def clear(self) -> None:
        tables = ", ".join([*(f"public.{table}" for table in TABLES), "private.written_errors"])
        self.execute(f"truncate {tables} restart identity cascade")
        self.set_clock(NOON)

    def set_clock(self, to: datetime) -> None:
        """From now on days are decided as if it were `to`, and time went on from there."""
        self.call("sandbox_clock", to=to.isoformat())

    def pass_time(self, by: timedelta) -> None:
        self.call("sandbox_clock", by_seconds=by.total_seconds())

    def _at_noon_of(self, day: date) -> None:
        self.set_clock(datetime.combine(day, NOON.timetz()))

    def end_leases(self) -> None:
        self.execute(
            "update public.scrape_units set lease_until = now() - interval '1 second' "
            "where lease_until is not null"
        )

    def open(
        self,
        *rows: dict[str, Any],
        batch: str,
        read_at: datetime = NOON,
        source: str = SHEET,
    ) -> dict[str, Any]:
        return self.call(
            "open_units",
            source=source,
            batch_id=batch,
            timezone="UTC",
            read_at=read_at.isoformat(),
            rows=list(rows),
        )

    def claim(
        self,
        state: str,
        *,
        batch: str,
        today: date | None = None,
        due: date | None = None,
        limit: int = 100,
        claim_id: str | None = None,
        sources: Sequence[str] = (SHEET,),
    ) -> dict[str, Any]:
        """`today` moves the database's clock to that day first; `due` is that day or the last."""
        if today:
            self._at_noon_of(today)
        return self.call(
            "claim_units",
            state=state,
            due_date=(due or today or LATEST).isoformat(),
            timezone="UTC",
            sources=list(sources),
            owner=batch,
            claim_id=claim_id or str(uuid4()),
            limit=limit,
            lease_seconds=60,
        )

    def claimed(self, state: str, **options: Any) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self.claim(state, **options)["units"])

    def scrape(
        self, *results: dict[str, Any], batch: str, today: date | None = None
    ) -> dict[str, Any]:
        if today:
            self._at_noon_of(today)
        return self.call("record_scrapes", owner=batch, timezone="UTC", results=list(results))

    def close_batch(self, **arguments: Any) -> dict[str, Any]:
        given = {"timezone": "UTC", "sources": [SHEET], **arguments}
        return self.call("close_batch", **given)

    def unfinished(self, **arguments: Any) -> dict[str, Any]:
        given = {"timezone": "UTC", "sources": [SHEET], **arguments}
        return self.call("unfinished_units", **given)

    def store(self, *results: dict[str, Any], batch: str) -> dict[str, Any]:
        return self.call("record_slides", owner=batch, results=list(results))

    def fail(self, state: str, unit_id: int, *, batch: str) -> None:
        """A try of the stage that works on the state, which fails; the batch holds the unit."""
        failure = {"unit_id": unit_id, "result": "retry", "error_kind": "network", "error": "cut"}
        if state == "pending":
            self.scrape(failure, batch=batch)
        elif state == "scraped":
            self.store(failure, batch=batch)
        else:
            post = self.unit(unit_id)["post"]
            self._set_post(unit_id, {**post, "metrics": {**post["metrics"], "views": "many"}})
            assert len(self.persist(unit_id, batch=batch)["failed"]) == 1
            self._set_post(unit_id, post)

    def _set_post(self, unit_id: int, post: dict[str, Any]) -> None:
        given = json.dumps(post).replace("'", "''")
        self.execute(f"update public.scrape_units set post = '{given}' where id = {unit_id}")

    def persist(self, *unit_ids: int, batch: str, zone: str = "UTC") -> dict[str, Any]:
        return self.call("persist_units", owner=batch, unit_ids=list(unit_ids), timezone=zone)

    def take_through(
        self,
        looks: dict[int, tuple[dict[str, Any], list[dict[str, Any]]]],
        *,
        batch: str,
        today: date | None = None,
        to: str = "done",
    ) -> dict[str, Any]:
        """Takes claimed units by id, with post and stored slides, to the state `to`.

        Returns what persist_units returned.
        """
        self.scrape(
            *(scraped(unit_id, post) for unit_id, (post, _) in looks.items()),
            batch=batch,
            today=today,
        )
        self.claim("scraped", batch=batch)
        self.store(
            *(
                {"unit_id": unit_id, "result": "stored", "slides": slides}
                for unit_id, (_, slides) in looks.items()
            ),
            batch=batch,
        )
        self.claim("stored", batch=batch)
        if to == "stored":
            return {}
        written = self.persist(*looks, batch=batch)
        if to == "done":
            self.claim("persisted", batch=batch)
            self.call(
                "finish_units",
                owner=batch,
                results=[{"unit_id": unit_id} for unit_id in looks],
            )
        return written


def row(key: str, **details: Any) -> dict[str, Any]:
    """A ready row whose URL is the key, unless `details` has another."""
    problems = details.pop("problems", [])
    tiktok_id = details.pop("tiktok_id", None)
    typed = {"va_url": f"https://www.tiktok.com/{key}", "va": "Ann", "creator": "Mia Rose"}
    return {
        "source_key": key,
        "row_number": 2,
        "tiktok_id": tiktok_id,
        "problems": problems,
        "details": {**typed, "set_id": 7, "post_type": "NEW", **details},
    }


def post(tiktok_id: str, *, slides: int = 0, at: datetime = NOON, **fields: Any) -> dict[str, Any]:
    """A post as its page showed it; metrics by name."""
    counts = {"views": 1000, "likes": 100, "comments": 10, "shares": 5, "bookmarks": 1}
    metrics = {name: fields.pop(name, value) for name, value in counts.items()}
    return {
        "tiktok_id": tiktok_id,
        "post_url": f"https://www.tiktok.com/@mia/photo/{tiktok_id}",
        "account": "mia",
        "account_verified": False,
        "followers": 5000,
        "posted_at": "2026-03-08T23:30:00Z",
        "description": "hello #one",
        "hashtags": ["one"],
        "mentions": [],
        "sound": "song",
        "sound_url": "https://www.tiktok.com/music/song-1",
        "metrics": metrics,
        "slides": [
            {"number": n, "mirrors": ["https://p16.example/x"]} for n in range(1, slides + 1)
        ],
        "scraped_at": at.isoformat(),
        "scraping_method": "page",
        "data_quality": "complete",
        **fields,
    }


def slide(
    tiktok_id: str, number: int, *, at: datetime = NOON, picture: str = "a"
) -> dict[str, Any]:
    """A slide that lies in the bucket."""
    digest = hashlib.sha256(f"{tiktok_id}/{number}/{picture}".encode()).hexdigest()
    path = f"{tiktok_id}/{number:02}-{digest[:16]}.jpeg"
    return {
        "slide_number": number,
        "slide_url": f"https://p16.example/tos-x/{digest[:32]}~tplv-image.jpeg?x-expires=1",
        "storage_path": path,
        "public_url": f"https://bucket.example/{path}",
        "file_size": 1234,
        "width": 10,
        "height": 20,
        "mime_type": "image/jpeg",
        "content_hash": digest,
        "downloaded_at": at.isoformat(),
        "uploaded_at": (at + timedelta(seconds=1)).isoformat(),
    }


def scraped(unit_id: int, page: dict[str, Any]) -> dict[str, Any]:
    return {
        "unit_id": unit_id,
        "result": "scraped",
        "tiktok_id": page["tiktok_id"],
        "post": page,
        "error_kind": None,
        "error": None,
    }


def new_batch() -> str:
    return str(uuid4())


def persist_first_scrapes(
    db: Database, looks: ScrapePasses, *, to: str = "done", **details: Any
) -> tuple[str, dict[str, Any], list[int]]:
    """Takes a new row by key through the stages.

    Returns the batch, the result of persist, and the unit ids.
    """
    batch = new_batch()
    db.open(*(row(key, **details) for key in looks), batch=batch, read_at=FAR)
    units = db.claimed("pending", batch=batch)
    by_id = {unit["id"]: looks[unit["source_key"]] for unit in units}
    return batch, db.take_through(by_id, batch=batch, to=to), list(by_id)
