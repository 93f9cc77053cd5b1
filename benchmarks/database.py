"""The database at ten times the size of a large agency's, on a native PostgreSQL.

A million posts, two million slides, five million snapshots, six million looks of which some
thousand are due, four million entries of the audit log. It takes about six minutes and 10 GB of
disk.
"""

from __future__ import annotations

from benchmarks.database_ledger import measure_ledger
from benchmarks.database_queries import measure_queries
from benchmarks.database_rows import fill, migrated
from benchmarks.database_writes import Writer, measure_daily_scrapes, measure_persist
from tools.postgres import PostgresServer

POSTS = 1_000_000
# All else is PostgreSQL's default; every commit waits for the disk. The default cost of a random
# page is that of a turning disk: with it, a frequent VA's newest posts come from the index by date.
CONFIGURATION = {"shared_buffers": "1GB", "max_wal_size": "4GB", "random_page_cost": "1.1"}


def main(posts: int = POSTS) -> None:
    with PostgresServer(CONFIGURATION) as server:
        full = migrated(server, "full_size")
        fill(full, posts)
        measure_queries(full)
        writer = Writer(full)
        measure_persist(writer, Writer(migrated(server, "empty")), Writer(migrated(server, "rows")))
        measure_daily_scrapes(writer)
        measure_ledger(full)
