"""Persisting a chunk: against a bare `insert … on conflict`, and in a full and an empty database.

The bare insert writes the very rows that `persist_units` writes for such a chunk, the audit log's
included, into the same tables with the same indexes and constraints. It has the lighter task: its
rows lie ready and typed in temporary tables, where `persist_units` has to take them out of the
ledger's jsonb, and no trigger runs, because it writes itself what they would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from statistics import median
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from benchmarks.database_rows import SQL, TODAY
from benchmarks.measure import RUNS, Work, compare_prepared, seconds

POSTS, SLIDES = 500, 6
DAILY = 250
_FIRST_ID = 7_600_000_000_000_000_000
_SHIFT = 10**12
_KEYS = {
    "tiktok_posts": ("tiktok_id",),
    "tiktok_slides": ("post_id", "slide_number"),
    "post_metrics": ("post_id", "captured_on"),
    "scrape_units": ("source_key", "slot"),
    "audit_log": (),
}
_IDS = {"id", "post_id", "row_id"}

Chunk = tuple[UUID, list[int]]


class Writer:
    """A database with chunks to persist. Post ids rise from chunk to chunk, as TikTok's do."""

    def __init__(self, url: str) -> None:
        self.owner = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        self.owner.execute("set timezone = 'UTC'")
        self._service = psycopg.connect(url, autocommit=True)
        self._service.execute("set role service_role")

    def first_scrapes(self, first_id: int, posts: int, slides: int = SLIDES) -> Chunk:
        owner = uuid4()
        values = {
            "owner": owner,
            "today": TODAY,
            "first_id": first_id,
            "posts": posts,
            "slides": slides,
        }
        return owner, self._ids("first_scrapes.sql", values)

    def daily_scrapes(self, posts: int) -> Chunk:
        owner = uuid4()
        return owner, self._ids(
            "daily_scrapes.sql", {"owner": owner, "today": TODAY, "posts": posts}
        )

    def persist(self, chunk: Chunk) -> None:
        owner, unit_ids = chunk
        arguments = json.dumps({"owner": str(owner), "unit_ids": unit_ids})
        row = self._service.execute("select public.persist_units(%s)", (arguments,)).fetchone()
        if not row or row[0]["persisted"] != len(unit_ids):
            raise RuntimeError(f"not all of {len(unit_ids)} units were persisted: {row}")

    def persist_within(self, limit: str, chunk: Chunk) -> dict[str, list[int]]:
        """One call under a time limit, as `2s`. Returns what it says of the units."""
        owner, unit_ids = chunk
        arguments = json.dumps({"owner": str(owner), "unit_ids": unit_ids})
        self._service.execute("select set_config('statement_timeout', %s, false)", (limit,))
        row = self._service.execute("select public.persist_units(%s)", (arguments,)).fetchone()
        if not row:
            raise RuntimeError("persist_units gave no answer")
        return dict(row[0])

    def triggers(self, action: str) -> None:
        for table in _KEYS:
            statement = sql.SQL("alter table {} {} trigger user")
            self.owner.execute(statement.format(sql.Identifier(table), sql.SQL(action)))

    def _ids(self, file: str, values: dict[str, object]) -> list[int]:
        return [row[0] for row in self.owner.execute((SQL / file).read_text(), values).fetchall()]


class BareInsert:
    """Writes the rows of a chunk into `target` that `persist_units` writes into `scratch`."""

    def __init__(self, target: Writer, scratch: Writer) -> None:
        self._target = target
        self._scratch = scratch
        self._columns = {table: _columns(target.owner, table) for table in _KEYS}

    def prepare(self, first_id: int) -> Work:
        self._scratch.owner.execute(
            sql.SQL("truncate {}").format(sql.SQL(", ").join(map(sql.Identifier, _KEYS)))
        )
        self._scratch.persist(self._scratch.first_scrapes(first_id, POSTS))
        self._target.first_scrapes(first_id, POSTS)
        for table in _KEYS:
            self._copy(table)
        statements = sql.SQL(";").join(self._statements()).as_string(self._target.owner)
        self._target.triggers("disable")
        return lambda: self._target.owner.execute(f"begin; {statements}; commit")

    def _copy(self, table: str) -> None:
        # Ids of their own: those of the scratch database may be taken.
        names = {"table": sql.Identifier(table), "copy": sql.Identifier(f"written_{table}")}
        columns = self._columns[table]
        shifted = [
            sql.SQL("{} + {}" if column in _IDS else "{}").format(sql.Identifier(column), _SHIFT)
            for column in columns
        ]
        read = sql.SQL("copy (select {} from {table}) to stdout").format(
            sql.SQL(", ").join(shifted), **names
        )
        self._target.owner.execute(sql.SQL("drop table if exists pg_temp.{copy}").format(**names))
        self._target.owner.execute(
            sql.SQL("create temp table {copy} as select {} from {table} limit 0").format(
                _listed(columns), **names
            )
        )
        with (
            self._scratch.owner.cursor().copy(read) as rows,
            self._target.owner.cursor().copy(
                sql.SQL("copy {copy} from stdin").format(**names)
            ) as copy,
        ):
            for row in rows:
                copy.write(row)
        self._target.owner.execute(sql.SQL("analyze {copy}").format(**names))

    def _statements(self) -> Iterator[sql.Composable]:
        for table, key in _KEYS.items():
            columns = self._columns[table]
            names = {"table": sql.Identifier(table), "copy": sql.Identifier(f"written_{table}")}
            if table == "scrape_units":
                # The chunk's own units are there; what they hold for the stages is not touched.
                yield sql.SQL(
                    "update {table} as u set state = w.state, attempts = w.attempts, "
                    "failed_batch_id = w.failed_batch_id, note = w.note, "
                    "error_kind = w.error_kind, error = w.error, claim_id = w.claim_id, "
                    "leased_by = w.leased_by, lease_until = w.lease_until "
                    "from {copy} as w "
                    "where w.slot = 0 and u.slot = 0 and u.source_key = w.source_key"
                ).format(**names)
            insert = sql.SQL(
                "insert into {table} ({columns}) {ids} select {columns} from {copy} {where}"
            ).format(
                columns=_listed(columns),
                ids=sql.SQL("overriding system value" if "id" in columns else ""),
                where=sql.SQL("where slot > 0" if table == "scrape_units" else ""),
                **names,
            )
            if key:
                changes = [
                    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column))
                    for column in columns
                    if column not in {*key, "id"}
                ]
                insert += sql.SQL(" on conflict ({}) do update set {}").format(
                    _listed(key), sql.SQL(", ").join(changes)
                )
            yield insert


def measure_persist(full: Writer, empty: Writer, scratch: Writer) -> None:
    """Prints a chunk's time against its bare insert, and in the full against the empty database."""
    first_ids = count(_FIRST_ID, 1_000_000)
    bare = BareInsert(full, scratch)

    def ours(writer: Writer) -> Callable[[], Work]:
        def prepare() -> Work:
            writer.triggers("enable")
            # Plans that were made without the triggers are made anew: not in the timed call.
            writer.persist(writer.first_scrapes(next(first_ids), 5))
            chunk = writer.first_scrapes(next(first_ids), POSTS)
            return lambda: writer.persist(chunk)

        return prepare

    name = f"persist {POSTS} posts, {POSTS * SLIDES:,} slides"
    compare_prepared(name, ours(full), "bare insert", lambda: bare.prepare(next(first_ids)))
    full.triggers("enable")
    compare_prepared(f"{name}, full", ours(full), "empty", ours(empty))


def measure_daily_scrapes(full: Writer) -> None:
    """Prints the time of a chunk of daily looks, and how many of its posts kept their indexes."""
    full.persist(full.daily_scrapes(5))
    before = _updates(full.owner)
    times = []
    for _ in range(RUNS):
        persist = partial(full.persist, full.daily_scrapes(DAILY))
        times.append(1000 * seconds(persist))
    updated, hot = (after - b for after, b in zip(_updates(full.owner), before))
    print(
        f"{f'persist {DAILY} daily looks':<44} {median(times):9.3f} ms   "
        f"{hot / updated:.0%} of the updates of posts touch no index"
    )


def _updates(connection: psycopg.Connection) -> tuple[int, int]:
    connection.execute("select pg_stat_clear_snapshot(), pg_sleep(1.5)")
    row = connection.execute(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'tiktok_posts'"
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def _columns(connection: psycopg.Connection, table: str) -> list[str]:
    rows = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 "
        "and attgenerated = '' and not attisdropped order by attnum",
        (f"public.{table}",),
    )
    return [row[0] for row in rows.fetchall()]


def _listed(columns: list[str] | tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
