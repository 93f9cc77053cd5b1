"""Killed processes, runs at the same time, and the days after the first."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from dagster_tiktok.sandbox.tiktok.faults import Fault
from dagster_tiktok_tests.running import RunningSandbox, finished, running_sandbox

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
outcome = run_partition(settings, definitions, partition=settings.load().today())
sys.exit(not outcome.complete)
"""


def short_lease_run(sandbox: RunningSandbox) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SHORT_LEASE],
        env=sandbox.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_when(process: subprocess.Popen[str], moment: Callable[[], bool]) -> None:
    until(lambda: moment() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def pages_by_post(sandbox: RunningSandbox) -> Counter[str]:
    entries = sandbox.tiktok.log.selected(kind="page")
    return Counter(e.post_id for e in entries if e.post_id is not None)


def slides_by_path(sandbox: RunningSandbox) -> Counter[str]:
    return Counter(e.path for e in sandbox.tiktok.log.selected(kind="slide"))


@pytest.mark.slow
def test_given_a_run_killed_in_every_stage_then_the_next_one_finishes_without_repeating(
    tmp_path: Path,
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.tiktok.shaping.page_latency_ms = (150, 200)
        moments: list[Callable[[], bool]] = [
            lambda: len(pages_by_post(sandbox)) >= 12,
            lambda: len(slides_by_path(sandbox)) >= 10,
            lambda: len(slides_by_path(sandbox)) >= 70,
            lambda: len(sandbox.rows("tiktok_posts", "id")) >= 1,
        ]
        for moment in moments:
            kill_when(short_lease_run(sandbox), moment)

        last = finished(short_lease_run(sandbox))

        assert last.status == 0, last.stderr
        posts = sandbox.rows("tiktok_posts")
        slides = sandbox.rows("tiktok_slides")
        assert len(posts) == 40
        assert len(slides) == sum(post["slide_count"] for post in posts)
        assert {post["scrape_count"] for post in posts} == {1}
        statuses = Counter(row["status"] for row in sandbox.sheet())
        assert (statuses["Scraped"], statuses["Failed"]) == (42, 12)
        # What a killed process had not recorded yet is asked for again: the requests in flight
        # and those of the moment before.
        assert sum(pages_by_post(sandbox).values()) <= 44 + 20
        assert sum(slides_by_path(sandbox).values()) <= 148 + 3 * 20


@pytest.mark.slow
def test_given_two_runs_at_once_then_they_share_the_work_and_nothing_is_done_twice(
    tmp_path: Path,
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.tiktok.shaping.page_latency_ms = (50, 100)

        runs = [sandbox.process("run", "--json") for _ in range(2)]
        results = [finished(run) for run in runs]

        assert min(result.status for result in results) == 0, [r.stderr for r in results]
        again = sandbox.run("run", "--json")
        assert again.status == 0
        assert again.result["urls_processed"] == 0
        # Two rows that lead to one post may fall to different runs.
        assert sum(pages_by_post(sandbox).values()) <= 44 + 1
        assert {post["scrape_count"] for post in sandbox.rows("tiktok_posts")} <= {1, 2}
        statuses = Counter(row["status"] for row in sandbox.sheet())
        assert (statuses["Scraped"], statuses["Failed"]) == (42, 12)


def move_looks(sandbox: RunningSandbox, slot: int, due: date) -> None:
    """As if the first look had been earlier: the clock can't be moved, the due date can."""
    sandbox.database.table("scrape_units").update({"due_date": due.isoformat()}).eq(
        "slot", slot
    ).eq("state", "pending").execute()


def test_the_following_days_fill_their_slots_and_a_missed_day_stays_empty(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        assert sandbox.run("run").status == 0
        today = date.fromisoformat(sandbox.run("run", "--json").result["partition"])
        first = {p["tiktok_id"]: p["views"] for p in sandbox.rows("tiktok_posts")}
        slides = sum(slides_by_path(sandbox).values())
        sandbox.world.age()
        move_looks(sandbox, 1, today - timedelta(days=1))
        move_looks(sandbox, 2, today)

        second = sandbox.run("run", "--json")

        assert second.status == 0, second.stderr
        assert second.result["succeeded"] == len(first)
        assert sum(slides_by_path(sandbox).values()) == slides, "a daily look moves no slide"
        for post in sandbox.rows("tiktok_posts"):
            views = sandbox.world.by_id[post["tiktok_id"]].metrics.views
            assert post["day1_views"] is None, "a late number in the wrong slot would be a lie"
            assert post["day2_views"] == post["views"] == views > first[post["tiktok_id"]]
            assert post["scrape_count"] == 2
        expired = [u for u in sandbox.rows("scrape_units") if u["outcome"] == "expired"]
        assert {u["slot"] for u in expired} == {1}


def test_given_a_row_set_back_to_ready_then_it_is_looked_at_afresh(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        assert sandbox.run("run").status == 0
        index = next(i for i, row in enumerate(sandbox.sheet()) if row["status"] == "Scraped")
        column = [name.strip().lower() for name in sandbox.cells[0]].index("status")
        sandbox.world.age()
        sandbox.sheets.book.tabs[0].set(index + 1, column, "Ready to Scrape")

        again = sandbox.run("run", "--json")

        assert again.status == 0, again.stderr
        assert (again.result["succeeded"], again.result["slides_downloaded"]) == (1, 0)
        row = sandbox.sheet()[index]
        post = next(
            p
            for p in sandbox.world.posts
            if p.tiktok_id in row["post url"] or f"/{p.short_code}" in row["post url"]
        )
        assert row["status"] == "Scraped"
        assert row["views"] == str(post.metrics.views)


def test_given_tiktok_refuses_us_then_the_run_stops_and_nothing_counts_against_the_posts(
    tmp_path: Path,
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.tiktok.faults.add(Fault("challenge", on="page"))
        breaker = SHORT_LEASE.replace(
            "definitions = build_definitions(settings, database=database)",
            "from dagster_tiktok.resources.tiktok import TikTokResource\n"
            "tiktok = TikTokResource(settings=settings, breaker_pause_seconds=0.2)\n"
            "definitions = build_definitions(settings, database=database, tiktok=tiktok)",
        ).replace("sys.exit", "print(outcome.failures); sys.exit")
        refused = finished(
            subprocess.Popen(
                [sys.executable, "-c", breaker],
                env=sandbox.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

        assert refused.status == 1
        assert "TikTok refused 10 requests in a row" in refused.stdout
        assert sandbox.tiktok.log.by_kind["page"] <= 10 + 8
        (log,) = sandbox.rows("scraping_logs")
        assert log["status"] == "failed"
        assert "TikTok refused" in log["error_message"]

        sandbox.tiktok.faults.clear()
        healed = sandbox.run("run", "--json")

        assert healed.status == 0, healed.stderr
        assert healed.result["unfinished"] == 0
        statuses = Counter(row["status"] for row in sandbox.sheet())
        assert (statuses["Scraped"], statuses["Failed"]) == (42, 12)
