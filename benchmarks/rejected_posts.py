"""Posts that the database rejects: how many calls the others need under a short time limit.

250 carousels of 35 slides, of which every second is rejected, on a native PostgreSQL; a call has
2 s, where the API gives 8 s.
"""

from __future__ import annotations

import time

from benchmarks.database_rows import migrated
from benchmarks.database_writes import Writer
from tools.postgres import PostgresServer

CAROUSELS, SLIDES, LIMIT = 250, 35, "2s"
MOST_CALLS = 3
_FIRST_ID = 7_600_000_000_000_000_000
_REJECTED = """
    update public.scrape_units set post = jsonb_set(post, '{metrics,views}', '-1')
    where id % 2 = 0"""


def main() -> None:
    with PostgresServer() as server:
        writer = Writer(migrated(server, "rejected"))
        owner, units = writer.first_scrapes(_FIRST_ID, CAROUSELS, SLIDES)
        writer.owner.execute(_REJECTED)
        seconds = list[float]()
        while units:
            started = time.perf_counter()
            units = writer.persist_within(LIMIT, (owner, units))["not_tried"]
            seconds.append(time.perf_counter() - started)
        written = writer.owner.execute("select count(*) from public.tiktok_posts").fetchone()
    name = f"{CAROUSELS} carousels, half rejected, limit {LIMIT}"
    calls = ", ".join(f"{each:.2f} s" for each in seconds)
    print(f"{name:<44} {len(seconds)} calls: {calls}    written: {written and written[0]}")
    if len(seconds) > MOST_CALLS:
        raise SystemExit(f"more than {MOST_CALLS} calls")
