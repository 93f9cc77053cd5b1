"""A database with two years of posts, filled in a few minutes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import psycopg

from dagster_tiktok.sandbox.serve import CLOCK, MIGRATIONS
from tools.postgres import PostgresServer, apply_migrations

SQL = Path(__file__).parent / "sql"
TODAY = date(2026, 11, 22)
TABLES = (
    # The slowest first: two are filled at a time.
    "tiktok_posts",
    "scrape_units",
    "tiktok_slides",
    "audit_log",
    "post_metrics",
    "scraping_logs",
)


def migrated(server: PostgresServer, name: str) -> str:
    """The superuser's address of a new, empty database with the schema."""
    url = server.create_database(name)
    apply_migrations(url, MIGRATIONS)
    apply_migrations(url, CLOCK)
    return url


def fill(url: str, posts: int) -> None:
    """Fills all tables as two years would have, then tidies up as autovacuum does."""
    started = time.perf_counter()
    with _writing(url, posts) as connection:
        connection.execute((SQL / "filled_posts.sql").read_bytes())
    with ThreadPoolExecutor(2) as pool:
        counts = dict(zip(TABLES, pool.map(lambda table: _fill(url, table, posts), TABLES)))
    with _writing(url, posts) as connection:
        for table in set(TABLES) - {"post_metrics"}:
            connection.execute(
                "select setval(pg_get_serial_sequence(%(table)s, 'id'), %(last)s)",
                {"table": f"public.{table}", "last": counts[table]},
            )
        connection.execute("checkpoint")
        size = connection.execute("select pg_database_size(current_database())").fetchone()
    gigabytes = size[0] / 2**30 if size else 0
    print(
        f"filled in {time.perf_counter() - started:.0f} s, {gigabytes:.1f} GB: "
        + ", ".join(f"{count:,} {table}" for table, count in counts.items())
    )


def _fill(url: str, table: str, posts: int) -> int:
    with _writing(url, posts) as connection:
        rows = connection.execute((SQL / "fill" / f"{table}.sql").read_bytes()).rowcount
        connection.execute(
            psycopg.sql.SQL("vacuum (analyze) {}").format(psycopg.sql.Identifier(table))
        )
    return rows


def _writing(url: str, posts: int) -> psycopg.Connection:
    """Without triggers and foreign keys: the rows are right as they are, the audit log too."""
    connection = psycopg.connect(url, autocommit=True)
    settings = {
        "benchmark.posts": str(posts),
        "benchmark.today": TODAY.isoformat(),
        "session_replication_role": "replica",
        "synchronous_commit": "off",
        "timezone": "UTC",
    }
    for name, value in settings.items():
        connection.execute("select set_config(%s, %s, false)", (name, value))
    return connection
