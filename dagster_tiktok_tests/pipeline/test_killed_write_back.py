"""Processes that are killed between recording an error's text and writing it under `Error`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_tiktok.sandbox.sheets.edits import apply_edits
from dagster_tiktok_tests.support.pipeline import (
    RUN,
    end_leases,
    kill_when,
    quick_run,
    script_run,
    until,
)
from dagster_tiktok_tests.support.processes import RunningSandbox, running_sandbox

pytestmark = pytest.mark.node

HEADER = ["Post URL", "Status", "VA", "Creator", "Set ID", "Type", "Error", "Views"]
FOR_EVER = 3600.0


def _writes(sandbox: RunningSandbox) -> int:
    counts: int = sandbox.sheets.gate.log.describe()["counts"]["write"]
    return counts


@pytest.mark.parametrize(
    ("fault", "arrives"),
    [
        # Recorded and never written: the request is lost with the process.
        ({"kind": "slow", "operation": "write", "delay_seconds": FOR_EVER}, "never"),
        # Recorded, and written by a request that was on its way when the process was killed.
        ({"kind": "slow", "operation": "write", "delay_seconds": 1.0}, "after the kill"),
        # Recorded and written, and the ledger does not know yet.
        ({"kind": "slow_after", "operation": "write", "delay_seconds": FOR_EVER}, "before it"),
    ],
)
def test_a_run_killed_around_the_write_leaves_the_right_error_in_the_row(
    tmp_path: Path, fault: dict[str, Any], arrives: str
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        post = next(post for post in sandbox.world.posts if not post.slides)
        url = f"https://www.tiktok.com{post.video_path}"
        tab = sandbox.sheets.book.tabs[0]
        tab.rows[:] = [[*HEADER], [url, "Ready to Scrape", "Ann", "Mia Rose", 7, "both", "", ""]]
        tab.protected.clear()
        sandbox.sheets.gate.faults.add(fault)

        process = script_run(sandbox, RUN)
        kill_when(process, lambda: _writes(sandbox) == 1)

        assert process.returncode == -9
        (unit,) = sandbox.rows("scrape_units")
        assert unit["state"] == "persisted"
        if arrives == "after the kill":
            until(lambda: sandbox.sheet()[0]["status"] == "Failed")
        written = {"never": "Ready to Scrape"}.get(arrives, "Failed")
        assert sandbox.sheet()[0]["status"] == written

        end_leases(sandbox)
        healed = quick_run(sandbox)

        (row,) = sandbox.sheet()
        assert (healed.status, row["status"]) == (0, "Failed")
        assert row["error"] == 'Type must be NEW or REPOST: "both"'
        (unit,) = sandbox.rows("scrape_units")
        assert (unit["state"], unit["note"]) == ("done", None)

        # The text counts as the pipeline's own: the next write back clears it, without a warning.
        correct = [("F2", "NEW"), ("B2", "Ready to Scrape")]
        apply_edits(
            sandbox.sheets.book,
            [{"do": "set", "cell": cell, "value": value} for cell, value in correct],
        )
        again = sandbox.invoke("run", "--json")

        assert again.status == 0, again.stderr
        assert "left alone" not in again.stderr
        (row,) = sandbox.sheet()
        assert (row["status"], row["error"]) == ("Scraped", "")
