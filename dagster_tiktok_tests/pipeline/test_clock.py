"""Whole runs on a machine whose clock is wrong: the database's day is the one that is run."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dagster_tiktok.automation import scrape_posts
from dagster_tiktok.definitions import build_definitions
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok_tests.support.processes import RunningSandbox, running_sandbox

pytestmark = pytest.mark.node

DAY = timedelta(days=1)


def _days(sandbox: RunningSandbox, slot: int) -> set[str]:
    return {u["due_date"] for u in sandbox.rows("scrape_units") if u["slot"] == slot}


def _run_of_dagster(sandbox: RunningSandbox, folder: Path, day: date) -> list[str]:
    """As the daemon does it, which knows this machine's clock only; returns the failures."""
    path = folder / "dagster.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in sandbox.environment.items()))
    job = build_definitions(SettingsResource(env_file=str(path))).resolve_job_def(scrape_posts.name)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance, partition_key=day.isoformat(), raise_on_error=False
        )
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return [str(f.user_failure_data.description) for f in failures if f.user_failure_data]


def test_a_clock_a_day_ahead_opens_and_expires_nothing(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.move_clock(-DAY)

        first = sandbox.invoke("run", "--json")
        today = date.fromisoformat(first.result["partition"])
        wrong = sandbox.invoke("run", "--json", "--date", (today + DAY).isoformat())
        said = _run_of_dagster(sandbox, tmp_path, today + DAY)
        doctor = sandbox.invoke("doctor")

        assert first.status == 0, first.stderr
        assert _days(sandbox, 0) == {today.isoformat()}
        assert _days(sandbox, 1) == {(today + DAY).isoformat()}
        assert wrong.status == 2 and "is not a partition" in wrong.stderr
        assert len(said) == 1 and f"{today + DAY} has not begun" in said[0]
        assert {u["outcome"] for u in sandbox.rows("scrape_units") if u["slot"]} == {None}
        assert doctor.status == 1
        assert "this machine's clock is 1 day ahead of the database's" in doctor.stdout

        sandbox.move_clock(DAY)  # that day has come
        assert sandbox.invoke("run", "--json").status == 0
        done = {u["slot"]: u["outcome"] for u in sandbox.rows("scrape_units")}
        assert (done[1], done[2]) == ("scraped", None)
        posts = sandbox.rows("tiktok_posts")
        assert any(post["day1_views"] for post in posts)
        assert {post["day2_views"] for post in posts} == {None}


def test_a_clock_a_day_behind_runs_the_databases_day(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        assert sandbox.invoke("run").status == 0
        sandbox.move_clock(DAY)

        day = date.fromisoformat(min(_days(sandbox, 0)))
        behind = _run_of_dagster(sandbox, tmp_path, day)
        assert len(behind) == 1 and f"{day} is over: by the database's clock" in behind[0]
        second = sandbox.invoke("run", "--json")

        assert second.status == 0, second.stderr
        assert {second.result["partition"]} == _days(sandbox, 1)
        assert second.result["succeeded"] == len(sandbox.rows("tiktok_posts"))
        doctor = sandbox.invoke("doctor")
        assert "this machine's clock is 1 day behind the database's" in doctor.stdout
