"""The queries of docs/queries.md, each with many parameters, under the role that asks them."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg.rows import dict_row

from benchmarks.database_rows import TODAY

PAGE = Path(__file__).parents[1] / "docs" / "queries.md"
TRIES = 500
MEDIAN_MS, P99_MS = 5.0, 20.0
SMALL_TABLES = {"scraping_logs"}
_STATUSES = ("active", "paused", "completed", "unavailable")
_ROLES = {"For signed-in users": "authenticated", "With the secret key": "service_role"}
_QUERY = re.compile(
    r"^### (?P<title>.+?)\n+```sql\n(?P<sql>.+?);\n```\n+Index: `(?P<index>\w+)`\.", re.M | re.S
)


@dataclass(frozen=True)
class Query:
    title: str
    role: str
    sql: str
    """With psycopg's placeholders."""
    index: str


def documented(page: str) -> Iterator[Query]:
    """The queries on the page. A heading of the third level without one is an error of the page."""
    for section in re.split(r"^## ", page, flags=re.M)[1:]:
        name, _, body = section.partition("\n")
        found = list(_QUERY.finditer(body))
        if len(found) != body.count("\n### ") or (found and name not in _ROLES):
            raise RuntimeError(f"{PAGE.name}: what is under {name} cannot be read")
        for match in found:
            sql = re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", match["sql"].replace("%", "%%"))
            yield Query(match["title"], _ROLES[name], sql, match["index"])


def measure_queries(url: str) -> None:
    """Prints median and 99th percentile of each query, warm, and the indexes of its plan.

    Raises:
        RuntimeError: a plan reads a table from one end to the other, or not by the named index.
    """
    # Never prepared: every figure includes the planning.
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        values = _values(connection)
        for query in documented(PAGE.read_text()):
            connection.execute(
                psycopg.sql.SQL("set role {}").format(psycopg.sql.Identifier(query.role))
            )
            for each in values:
                _check_plan(connection, query, each)
                connection.execute(query.sql, each).fetchall()  # warm
            times = sorted(_milliseconds(connection, query, each) for each in values)
            middle, late = median(times), times[len(times) * 99 // 100]
            slow = "" if middle < MEDIAN_MS and late < P99_MS else "   TOO SLOW"
            print(f"{query.title:<44} {middle:9.2f} ms   p99: {late:9.2f} ms   {query.index}{slow}")


def _values(connection: psycopg.Connection) -> Sequence[Mapping[str, Any]]:
    """What the queries ask for: of posts at random, so that what is frequent is asked for often."""
    chance = random.Random(7)
    row = connection.execute("select max(id) from public.tiktok_posts").fetchone()
    ids = [chance.randint(1, row[0] if row else 0) for _ in range(TRIES)]
    with connection.cursor(row_factory=dict_row) as cursor:
        posts = cursor.execute(
            "select * from public.tiktok_posts where id = any (%s)", (ids,)
        ).fetchall()
    chance.shuffle(posts)
    return [
        {
            **post,
            "scrape_status": chance.choice(_STATUSES),
            "today": TODAY,
            "first_day": post["created_date"],
            "last_day": post["created_date"] + timedelta(days=chance.randint(0, 30)),
        }
        for post in posts
    ]


def _milliseconds(connection: psycopg.Connection, query: Query, values: Mapping[str, Any]) -> float:
    started = time.perf_counter()
    connection.execute(query.sql, values).fetchall()
    return 1000 * (time.perf_counter() - started)


def _check_plan(connection: psycopg.Connection, query: Query, values: Mapping[str, Any]) -> None:
    answer = connection.execute(f"explain (format json) {query.sql}", values).fetchone()
    nodes = list(_nodes(answer[0][0]["Plan"] if answer else {}))
    scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
    indexes = {node["Index Name"] for node in nodes if "Index Name" in node}
    if scanned - SMALL_TABLES:
        raise RuntimeError(f"{query.title}: reads all of {', '.join(scanned)}")
    if query.index not in indexes and not scanned:
        raise RuntimeError(
            f"{query.title}: the plan has {indexes or 'no index'}, not {query.index}"
        )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
