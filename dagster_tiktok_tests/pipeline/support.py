"""Runs with a short lease or a short pause, and waiting for a moment of a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable

from dagster_tiktok.definitions import build_definitions
from dagster_tiktok.resources.database import DatabaseResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.tiktok import TikTokResource
from dagster_tiktok.runner import run_partition
from dagster_tiktok_tests.running import Finished, RunningSandbox

DEMO_STATUSES = (41, 13)
"""How many rows of the demo's sheet end as Scraped and as Failed."""
DEMO_POSTS_SCRAPED = 39

# A run with a short lease, so that the test need not wait half a minute for a dead one's units.
SHORT_LEASE = """
import sys
from dagster_tiktok.definitions import build_definitions
from dagster_tiktok.resources.database import DatabaseResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.runner import run_partition

settings = SettingsResource(env_file="/dev/null")
database = DatabaseResource(settings=settings, lease_seconds=3)
definitions = build_definitions(settings, database=database)
outcome = run_partition(settings, definitions)
sys.exit(not outcome.complete)
"""


QUICK_BREAKER = SHORT_LEASE.replace(
    "definitions = build_definitions(settings, database=database)",
    "from dagster_tiktok.resources.tiktok import TikTokResource\n"
    "pauses = dict(breaker_pause_seconds=0.2, pass_pause_seconds=0.3)\n"
    "tiktok = TikTokResource(settings=settings, **pauses)\n"
    "definitions = build_definitions(settings, database=database, tiktok=tiktok)",
).replace("sys.exit", "print(outcome.failures); sys.exit")


def short_lease_run(sandbox: RunningSandbox) -> subprocess.Popen[str]:
    return script_run(sandbox, SHORT_LEASE)


def script_run(sandbox: RunningSandbox, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env=sandbox.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def quick_run(sandbox: RunningSandbox) -> Finished:
    """A run with a short lease and short pauses, in this process: Dagster is imported once."""
    path = sandbox.sandbox.folder / "quick-run.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in sandbox.environment.items()))
    settings = SettingsResource(env_file=str(path))
    definitions = build_definitions(
        settings,
        database=DatabaseResource(settings=settings, lease_seconds=3),
        tiktok=TikTokResource(settings=settings, breaker_pause_seconds=0.2, pass_pause_seconds=0.3),
    )
    outcome = run_partition(settings, definitions)
    return Finished(int(not outcome.complete), "\n".join(outcome.failures), "")


def kill_when(process: subprocess.Popen[str], moment: Callable[[], bool]) -> None:
    until(lambda: moment() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()


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
