"""A day of carousels killed twenty times: nothing is lost, doubled or broken, and little repeated.

Each run is that of `dagster-tiktok run`, with a lease of three seconds so that the next one need
not wait for half a minute. The CDN is shaped like the real one. It takes about eight minutes.

    python -m benchmarks slides_killed      # KILLED_SEED=7 for another series
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from supabase import create_client

from benchmarks.carousels import SLIDES, Carousels, Truth, carousels, check_bucket
from dagster_tiktok.sandbox.tiktok.http.state import Shaping

POSTS, KILLS = 500, 20
CDN = Shaping(slide_first_byte_ms=30, slide_bytes_per_second=5e6)
LATEST_SECONDS = 0.3
"""A kill comes up to so long after the request that it waited for, so at no certain point of it."""
MOMENT_SECONDS = 0.1
"""What the server has sent so shortly before a kill may still lie in the sockets."""
_ROWS_AT_ONCE = 1000
_RUN = """
import sys
from dagster_tiktok.definitions import build_definitions
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.cli.run import run_partition

settings = SettingsResource(env_file="/dev/null")
definitions = build_definitions(
    settings, database=LedgerResource(settings=settings, lease_seconds=3)
)
outcome = run_partition(settings, definitions)
print(outcome.failures or "", outcome.summary.status)
sys.exit(not outcome.complete)
"""


@dataclass(frozen=True)
class Kill:
    """`at` is in monotonic seconds, of the same clock as the server's log."""

    at: float
    in_flight: int
    just_sent: int


def main() -> None:
    seed = int(os.environ.get("KILLED_SEED", "6"))
    dice = random.Random(seed)
    # Of a run's requests, a page a post and its slides; the last few come after all of them.
    moments = sorted(dice.uniform(0, 1.1) * POSTS * (1 + SLIDES) for _ in range(KILLS))
    print(f"seed {seed}: kills after {', '.join(f'{moment:.0f}' for moment in moments)} requests")
    with carousels(POSTS, CDN) as servers:
        truth = servers.truth(servers.ids)
        started = time.perf_counter()
        kill_times = [_killed(servers, moment, dice) for moment in moments]
        last = _start(servers)
        output, _ = last.communicate()
        seconds = time.perf_counter() - started
        if last.returncode:
            raise RuntimeError(f"the run after the kills is not complete: {output[-2000:]}")
        log = servers.control("requests?kind=slide")["requests"]
        asyncio.run(check_bucket(servers.settings(), truth))
        _check_rows(servers, truth)
    _report(kill_times, log, seconds, servers.settings().slide_max_concurrent_downloads)


def _start(servers: Carousels) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN],
        env={**os.environ, **servers.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _killed(servers: Carousels, moment: float, dice: random.Random) -> float:
    """Starts a run and kills it at that number of requests of all runs, or of rows behind it."""
    process = _start(servers)
    wait, rows = dice.uniform(0, LATEST_SECONDS), moment / (POSTS * (1 + SLIDES)) - 1
    while process.poll() is None and not _has_come(servers, moment, rows):
        time.sleep(0.02)
    time.sleep(wait)
    at = time.monotonic()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return at


def _has_come(servers: Carousels, moment: float, share: float) -> bool:
    counts = servers.control("requests?summary=1")["counts"]["by_kind"]
    if share < 0:
        return bool(counts.get("page", 0) + counts.get("slide", 0) >= moment)
    # All slides are there: between the first and the last post written.
    return len(_rows(servers, "tiktok_posts", "id")) >= 1 + 10 * share * (POSTS - 1)


def _rows(servers: Carousels, table: str, columns: str) -> list[dict[str, Any]]:
    settings = servers.settings()
    client = create_client(settings.supabase_url, settings.supabase_key.get_secret_value())
    rows: list[Any] = []
    while len(rows) % _ROWS_AT_ONCE == 0:
        query = client.table(table).select(columns).order("id")
        page = query.range(len(rows), len(rows) + _ROWS_AT_ONCE - 1).execute().data
        if not page:
            break
        rows += page
    return rows


def _check_rows(servers: Carousels, truth: Truth) -> None:
    posts = {row["id"]: row["tiktok_id"] for row in _rows(servers, "tiktok_posts", "id,tiktok_id")}
    slides = _rows(servers, "tiktok_slides", "id,post_id,slide_number,content_hash,storage_path")
    found = {(posts[row["post_id"]], row["slide_number"]): row["content_hash"] for row in slides}
    if len(posts) != POSTS or len(slides) != len(found) or found != dict(truth):
        raise RuntimeError(f"{len(posts)} posts and {len(slides)} slides of {len(truth)} have rows")


def _report(
    kill_times: Sequence[float], log: Sequence[dict[str, Any]], seconds: float, concurrency: int
) -> None:
    kills = [_seen(at, log) for at in kill_times]
    asked = Counter((entry["post_id"], entry["slide_number"]) for entry in log)
    repeated = sum(asked.values()) - len(asked)
    resumed = sum(bool(entry["byte_range"]) for entry in log)
    in_flight = sum(kill.in_flight for kill in kills)
    just_sent = sum(kill.just_sent for kill in kills)
    name = f"{KILLS} kills of {POSTS} carousels, {POSTS * SLIDES:,} slides"
    print(f"{name:<44} {seconds:9.1f} s     no slide missing, none doubled, none broken")
    print(
        f"{'  slides requested again':<44} {repeated:9d}     {resumed} of them from where they "
        f"were   in flight at the kills {in_flight}, sent in the {1000 * MOMENT_SECONDS:.0f} ms "
        f"before {just_sent}   kills x concurrency {KILLS * concurrency}"
    )
    print("  each kill: " + ", ".join(f"{kill.in_flight}+{kill.just_sent}" for kill in kills))
    if repeated >= 5 + in_flight + just_sent:
        raise RuntimeError("more slides were requested again than were in flight")


def _seen(at: float, log: Sequence[dict[str, Any]]) -> Kill:
    """What the server was answering at that time, and what it had sent in the moment before."""
    spans = [
        (entry["monotonic"], entry["monotonic"] + (entry["duration_ms"] or 0) / 1000)
        for entry in log
    ]
    return Kill(
        at,
        # The last requests of the killed process may be heard a moment after its end.
        in_flight=sum(begun <= at + MOMENT_SECONDS and at < ended for begun, ended in spans),
        just_sent=sum(at - MOMENT_SECONDS <= ended <= at for _, ended in spans),
    )
