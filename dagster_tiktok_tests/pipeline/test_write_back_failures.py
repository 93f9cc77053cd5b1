"""Whole runs with rows that cannot be written back: their posts are scraped once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dagster_tiktok.sandbox.sheets.edits import apply_edits
from dagster_tiktok_tests.support.pipeline import pages_by_post
from dagster_tiktok_tests.support.processes import Finished, RunningSandbox, running_sandbox

pytestmark = pytest.mark.node

HEADER = ["Post URL", "Status", "VA", "Creator", "Set ID", "Type", "Views", "Scraped At"]
PROTECT: dict[str, Any] = {"do": "protect", "range": "B2:B2"}
COMPUTE: dict[str, Any] = {"do": "set", "cell": "B2", "value": '="Ready to Scrape"'}


def _edit(sandbox: RunningSandbox, *edits: dict[str, Any]) -> None:
    apply_edits(sandbox.sheets.book, list(edits))


def _one_post(sandbox: RunningSandbox) -> str:
    """Makes the sheet hold one ready row. Returns its post's id."""
    post = next(post for post in sandbox.world.posts if not post.slides)
    url = f"https://www.tiktok.com{post.video_path}"
    tab = sandbox.sheets.book.tabs[0]
    tab.rows[:] = [[*HEADER], [url, "Ready to Scrape", "Ann", "Mia Rose", 7, "NEW", "", ""]]
    tab.protected.clear()
    return post.tiktok_id


def _run(sandbox: RunningSandbox) -> Finished:
    finished = sandbox.invoke("run", "--json")
    assert finished.status == 0, finished.stderr
    return finished


@pytest.mark.parametrize(
    ("edit", "cure", "told"),
    [
        (PROTECT, {"do": "unprotect"}, 'the cell B2 ("Status") is protected; allow'),
        (
            COMPUTE,
            {"do": "set", "cell": "B2", "value": "Ready to Scrape"},
            'the cell B2 ("Status") is computed by a formula; type the status instead',
        ),
    ],
)
def test_a_post_whose_status_cannot_be_written_is_scraped_once_and_written_back_later(
    tmp_path: Path, edit: dict[str, Any], cure: dict[str, Any], told: str
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        tiktok_id = _one_post(sandbox)
        _edit(sandbox, edit)

        first = _run(sandbox)
        _edit(sandbox, {"do": "set", "cell": "C2", "value": "Ben"})  # a VA corrects the row
        second = _run(sandbox)
        third = _run(sandbox)

        assert (first.result["succeeded"], third.result["urls_processed"]) == (1, 0)
        for run in (first, second, third):
            assert "row not written, needs your help: https://www.tiktok.com" in run.stderr
            assert told in run.stderr
            assert [error["slot"] for error in run.result["errors"]] == [0]
        assert pages_by_post(sandbox)[tiktok_id] == 1
        (post,) = sandbox.rows("tiktok_posts")
        assert (post["va"], post["scrape_count"]) == ("Ben", 1)

        sandbox.move_clock(timedelta(days=1))
        tomorrow = _run(sandbox)  # the daily scrape of the post, not another one for the row
        assert told in tomorrow.stderr
        assert pages_by_post(sandbox)[tiktok_id] == 2
        assert sandbox.sheet()[0]["scraped at"] == ""

        _edit(sandbox, cure)
        last = _run(sandbox)

        assert last.result["errors"] == []
        (row,) = sandbox.sheet()
        assert (row["status"], row["views"]) == ("Scraped", str(post["views"]))
        assert pages_by_post(sandbox)[tiktok_id] == 2
        units = [unit for unit in sandbox.rows("scrape_units") if unit["slot"] == 0]
        assert [(unit["state"], unit["unanswered_since"]) for unit in units] == [("done", None)]
