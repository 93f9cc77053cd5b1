"""Runs with short pauses, and waiting for a moment of a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from dagster_tiktok.cli.run import run_partition
from dagster_tiktok.definitions import build_definitions
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.tiktok import TikTokResource
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok_tests.support.processes import Finished, RunningSandbox

DEMO_STATUSES = (41, 13)
"""How many rows of the demo's sheet end as Scraped and as Failed."""
DEMO_POSTS_SCRAPED = 39

RUN = """
import sys
from dagster_tiktok.definitions import build_definitions
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.cli.run import run_partition

settings = SettingsResource(env_file="/dev/null")
sys.exit(not run_partition(settings, build_definitions(settings)).complete)
"""
# A run with short pauses.
QUICK_BREAKER = """
from dagster_tiktok.definitions import build_definitions
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.tiktok import TikTokResource
from dagster_tiktok.cli.run import run_partition

settings = SettingsResource(env_file="/dev/null")
pauses = dict(breaker_pause_seconds=0.2, pass_pause_seconds=0.3)
tiktok = TikTokResource(settings=settings, **pauses)
run_partition(settings, build_definitions(settings, tiktok=tiktok))
"""


def script_run(sandbox: RunningSandbox, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env=sandbox.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def quick_run(sandbox: RunningSandbox) -> Finished:
    """A run with short pauses, in this process: Dagster is imported once."""
    path = sandbox.sandbox.folder / "quick-run.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in sandbox.environment.items()))
    settings = SettingsResource(env_file=str(path))
    definitions = build_definitions(
        settings,
        tiktok=TikTokResource(settings=settings, breaker_pause_seconds=0.2, pass_pause_seconds=0.3),
    )
    outcome = run_partition(settings, definitions)
    return Finished(int(not outcome.complete), "\n".join(outcome.failures), "")


def kill_when(process: subprocess.Popen[str], moment: Callable[[], bool]) -> None:
    until(lambda: moment() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def end_leases(sandbox: RunningSandbox, *, after: timedelta = timedelta(0)) -> None:
    """As if the leases of a run that was killed had so long to go, which may be half a minute.

    A run of its own short lease would lose it on a busy machine.
    """
    lapses = datetime.now(timezone.utc) + after
    units = sandbox.database.table("scrape_units").update({"lease_until": lapses.isoformat()})
    units.not_.is_("leased_by", "null").execute()


def hold_page(sandbox: RunningSandbox) -> None:
    """One post's page does not come, so that a run is still reading pages when the test acts.

    It is asked for again and again, for minutes in all: more than a test that polls may be late.
    """
    post = sandbox.world.videos()[0]
    sandbox.tiktok.faults.add(
        Fault("slow", on="page", post_id=post.tiktok_id, latency_ms=(3_600_000, 3_600_000))
    )


def until(condition: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def pages_by_post(sandbox: RunningSandbox) -> Counter[str]:
    entries = sandbox.tiktok.log.selected(kind="page")
    return Counter(e.post_id for e in entries if e.post_id is not None)


def slides_by_path(sandbox: RunningSandbox) -> Counter[str]:
    return Counter(e.path for e in sandbox.tiktok.log.selected(kind="slide"))


def slides_by_post(sandbox: RunningSandbox) -> Counter[str]:
    entries = sandbox.tiktok.log.selected(kind="slide")
    return Counter(e.post_id for e in entries if e.post_id is not None)


def posts_beyond(sandbox: RunningSandbox, *states: str) -> set[str]:
    """The posts none of whose units is in one of these states any more."""
    units = sandbox.rows("scrape_units", "tiktok_id,state")
    ids = {unit["tiktok_id"] for unit in units if unit["tiktok_id"] is not None}
    return ids - {unit["tiktok_id"] for unit in units if unit["state"] in states}
