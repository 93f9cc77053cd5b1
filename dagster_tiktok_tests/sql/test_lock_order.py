"""Two calls at once never wait for each other in a circle: all lock units and posts in one order.

Every pair of calls meets 100 times on the same rows, in opposite order. Between two rows of a
statement a trigger pauses, so that the calls overlap whatever the machine's speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from dagster_tiktok_tests.support.database import FAR, TODAY, new_batch, post, row, scraped, slide
from tools.postgres import PostgresServer

ROUNDS = 100
POSTS = 5
PATIENCE_SECONDS = 120
_PAUSES = """
    create function public.pause() returns trigger language plpgsql as $$
    begin
      perform pg_sleep(0.001);
      return new;
    end $$;
    create trigger pause before insert or update on public.scrape_units
      for each row execute function public.pause();
    create trigger pause before insert or update on public.tiktok_posts
      for each row execute function public.pause()"""
_UNIT = """
    insert into public.scrape_units (source, source_key, slot, due_date, state, outcome, tiktok_id,
      details, post, slides, claim_id, leased_by, lease_until, finished_at)
    values (case when %(slot)s = 0 then 'sheet' end, %(key)s, %(slot)s, %(due)s, %(state)s,
      %(outcome)s, %(tiktok_id)s, %(details)s, %(post)s, %(slides)s, %(claim)s, %(owner)s,
      case when %(owner)s::uuid is not null then now() + interval '1 hour' end,
      case when %(state)s = 'done' then now() end)
    returning id"""
Call = tuple[str, dict[str, Any]]


class World:
    """Posts and units in every state, of two batches; each list in the order of its posts."""

    def __init__(self, connection: psycopg.Connection, number: int) -> None:
        self._connection = connection
        self._number = number
        self.first, self.second, self.claim = new_batch(), new_batch(), new_batch()
        self.posts = [str(1000 * number + n) for n in range(1, POSTS + 1)]
        connection.execute("set session_replication_role = replica")  # no pauses
        if number % 2:
            self._insert_posts()
        self.stored = self._stored("a", self.posts, self.first, bad=self.posts[1])
        # The same posts, whose units were opened in the opposite order.
        self.others = self._stored("b", self.posts[::-1], self.second, bad=self.posts[-2])[::-1]
        self.persisted = self._units("c", state="persisted", outcome="scraped", owner=self.first)
        self.scraped = self._units("d", state="scraped", outcome="scraped", owner=self.first)
        self.pending = self._units("e", state="pending", owner=self.first)
        self._units("f", state="done", outcome="scraped")
        yesterday = TODAY - timedelta(days=1)
        daily = [
            self._insert(
                tiktok_id,
                slot=5,
                due=yesterday,
                tiktok_id=tiktok_id,
                owner=self.first if place % 2 else None,
            )
            for place, tiktok_id in reversed(list(enumerate(self.posts)))
        ]
        self.late = [unit for place, unit in enumerate(reversed(daily)) if place % 2]
        connection.execute("set session_replication_role = origin")

    def rows(self, *, note: str) -> list[dict[str, Any]]:
        """Rows of the sheet for units in every state, and for new ones."""
        keys = [f"{self._number}-{kind}{n}" for kind in "cdefg" for n in range(POSTS)]
        return [row(key, va=note) for key in keys]

    def _insert_posts(self) -> None:
        for tiktok_id in self.posts[::-1]:
            self._connection.execute(
                "insert into public.tiktok_posts (tiktok_id, post_url) values (%s, %s)",
                [tiktok_id, post(tiktok_id)["post_url"]],
            )

    def _stored(self, kind: str, posts: list[str], owner: str, *, bad: str) -> list[int]:
        return [
            self._insert(
                f"{self._number}-{kind}{tiktok_id}",
                state="stored",
                outcome="scraped",
                tiktok_id=tiktok_id,
                owner=owner,
                post=Jsonb(post(tiktok_id, slides=1, views=-1 if tiktok_id == bad else 5)),
                slides=Jsonb([slide(tiktok_id, 1)]),
            )
            for tiktok_id in posts
        ]

    def _units(self, kind: str, **values: Any) -> list[int]:
        """OpenResult in the opposite order of their keys."""
        keys = [f"{self._number}-{kind}{n}" for n in range(POSTS)]
        return [self._insert(key, **values) for key in reversed(keys)][::-1]

    def _insert(self, key: str, **values: Any) -> int:
        unit = {
            **dict.fromkeys(("outcome", "tiktok_id", "details", "post", "slides", "owner")),
            "key": key,
            "slot": 0,
            "due": TODAY,
            "state": "pending",
            **values,
        }
        unit["claim"] = self.claim if unit["owner"] else None
        ((unit_id,),) = self._connection.execute(_UNIT, unit).fetchall()
        return int(unit_id)


def _persist(world: World) -> Call:
    return "persist_units", {"owner": world.first, "unit_ids": world.stored}


def _persist_others(world: World) -> Call:
    return "persist_units", {"owner": world.second, "unit_ids": world.others}


def _open(world: World) -> Call:
    arguments = {"batch_id": world.first, "timezone": "UTC", "source": "sheet", "read_at": FAR}
    return "open_units", {**arguments, "rows": world.rows(note="Ann")}


def _open_backwards(world: World) -> Call:
    arguments = {"batch_id": world.second, "timezone": "UTC", "source": "sheet", "read_at": FAR}
    return "open_units", {**arguments, "rows": world.rows(note="Ben")[::-1]}


def _finish(world: World) -> Call:
    results = [{"unit_id": unit, "note": "x"} for unit in world.persisted]
    return "finish_units", {"owner": world.first, "results": results}


def _finish_backwards(world: World) -> Call:
    name, arguments = _finish(world)
    return name, {**arguments, "results": arguments["results"][::-1]}


def _record_scrapes(world: World) -> Call:
    """Some fail, and daily scrapes come after midnight: their posts are over."""
    failure = {"result": "retry", "error_kind": "network", "error": "cut"}
    results: list[dict[str, Any]] = [{"unit_id": unit, **failure} for unit in world.pending]
    results += [scraped(unit, post("1")) for unit in world.late]
    return "record_scrapes", {"owner": world.first, "timezone": "UTC", "results": results}


def _record_scrapes_backwards(world: World) -> Call:
    name, arguments = _record_scrapes(world)
    return name, {**arguments, "results": arguments["results"][::-1]}


def _record_slides(world: World) -> Call:
    results = [{"unit_id": unit, "result": "progress", "slides": []} for unit in world.scraped]
    return "record_slides", {"owner": world.first, "results": results}


def _record_slides_backwards(world: World) -> Call:
    name, arguments = _record_slides(world)
    return name, {**arguments, "results": arguments["results"][::-1]}


def _claim(world: World, owner: str, claim_id: str) -> Call:
    when = {"state": "pending", "due_date": TODAY, "timezone": "UTC", "sources": ["sheet"]}
    how = {"limit": 100, "lease_seconds": 60}
    return "claim_units", {**when, **how, "owner": owner, "claim_id": claim_id}


def _claim_again(world: World) -> Call:
    return _claim(world, world.first, world.claim)


def _claim_and_expire(world: World) -> Call:
    return _claim(world, world.second, new_batch())


def _extend(world: World) -> Call:
    return "extend_leases", {"owner": world.first, "lease_seconds": 60}


def _release(world: World) -> Call:
    return "release_leases", {"owner": world.first}


PAIRS: list[tuple[Callable[[World], Call], Callable[[World], Call]]] = [
    (_persist, _persist_others),
    (_persist, _persist),
    (_persist_others, _claim_and_expire),
    (_persist_others, _record_scrapes),
    (_open, _open_backwards),
    (_open, _finish),
    (_open, _finish_backwards),
    (_open, _release),
    (_open, _record_scrapes_backwards),
    (_finish, _finish_backwards),
    (_finish, _extend),
    (_claim_again, _claim_again),
    (_claim_again, _extend),
    (_claim_again, _record_scrapes_backwards),
    (_claim_and_expire, _claim_and_expire),
    (_claim_and_expire, _record_scrapes),
    (_record_scrapes, _record_scrapes_backwards),
    (_record_slides, _record_slides_backwards),
    (_record_slides_backwards, _extend),
    (_extend, _release),
]


@pytest.fixture(scope="module")
def slow_url(postgres: PostgresServer) -> str:
    url = postgres.create_database("lock_order", template="migrated")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_PAUSES.encode())
    return url


@pytest.fixture
def callers(slow_url: str) -> Iterator[list[psycopg.Connection]]:
    options = f"-c role=service_role -c deadlock_timeout=10ms -c lock_timeout={PATIENCE_SECONDS}s"
    with (
        psycopg.connect(slow_url, autocommit=True, options=options) as one,
        psycopg.connect(slow_url, autocommit=True, options=options) as other,
    ):
        yield [one, other]


@pytest.fixture
def owner(slow_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(slow_url, autocommit=True) as connection:
        connection.execute("truncate public.scrape_units, public.tiktok_posts cascade")
        yield connection


def _succeeds(caller: psycopg.Connection, call: Call, barrier: Barrier) -> bool:
    """Whether the call succeeded; not, if it was ended to resolve a deadlock."""
    name, arguments = call
    plain = {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in arguments.items()}
    statement = sql.SQL("select public.{}(%s)").format(sql.Identifier(name))
    barrier.wait(PATIENCE_SECONDS)
    try:
        caller.execute(statement, [Jsonb(plain)])
    except errors.DeadlockDetected:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_concurrent_calls_on_the_same_rows_both_succeed(
    owner: psycopg.Connection,
    callers: list[psycopg.Connection],
    one: Callable[[World], Call],
    other: Callable[[World], Call],
) -> None:
    with ThreadPoolExecutor(2) as pool:
        succeeded: list[bool] = []
        for number in range(1, ROUNDS + 1):
            world, barrier = World(owner, number), Barrier(2)
            calls = [one(world), other(world)]
            succeeded += pool.map(_succeeds, callers, calls, [barrier] * 2)
    assert succeeded == [True] * (2 * ROUNDS)
