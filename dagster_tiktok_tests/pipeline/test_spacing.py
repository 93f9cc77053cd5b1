"""A post that fails for a while, whole runs every few minutes, and a sheet that VAs work in."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok_tests.support.pipeline import pages_by_post, quick_run
from dagster_tiktok_tests.support.processes import Finished, RunningSandbox, running_sandbox

pytestmark = pytest.mark.node

HEADER = ["Post URL", "Status", "VA", "Creator", "Set ID", "Type", "Error"]


def _is_plain(post: FakePost) -> bool:
    return post.status == "available" and not post.slides


def _append(sandbox: RunningSandbox, post: FakePost) -> None:
    url = f"https://www.tiktok.com{post.video_path}"
    rows = sandbox.sheets.book.tabs[0].rows
    rows.append([url, "Ready to Scrape", "Ann", "Mia Rose", len(rows), "NEW", ""])


def _fail(sandbox: RunningSandbox, post: FakePost) -> None:
    """From now on the post's page gives a reason that nobody knows, and no other source helps."""
    fault = Fault("unavailable", on="page", post_id=post.tiktok_id, status_msg="some_new_reason")
    sandbox.tiktok.faults.add(fault)
    for source in ("oembed", "embed"):
        sandbox.tiktok.faults.add(Fault("empty", on=source))


def _now(sandbox: RunningSandbox) -> datetime:
    given = {"p": {"timezone": "UTC"}}
    response: Any = sandbox.database.rpc("database_clock", given).execute().data
    return datetime.fromisoformat(response["now"])


def _run(sandbox: RunningSandbox, at: datetime) -> Finished:
    sandbox.move_clock(at - _now(sandbox))
    return quick_run(sandbox)


def _morning(sandbox: RunningSandbox) -> datetime:
    """Two o'clock of the next day, by the database's clock."""
    midnight = _now(sandbox).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1, hours=2)


@pytest.mark.slow
def test_frequent_runs_do_not_retry_a_failing_post_early(tmp_path: Path) -> None:
    # Issue 11, B10: its five tries were used up within a quarter of an hour.
    with running_sandbox(tmp_path) as sandbox:
        posts = [post for post in sandbox.world.posts if _is_plain(post)][:8]
        failing, others = posts[0], iter(posts[1:])
        tab = sandbox.sheets.book.tabs[0]
        tab.rows[:] = [[*HEADER]]
        tab.protected.clear()
        _append(sandbox, failing)
        _fail(sandbox, failing)
        start = _morning(sandbox)
        tried: list[int] = []
        for minutes in (0, 5, 50, 70, 80, 240, 260, 310):
            asked = pages_by_post(sandbox)[failing.tiktok_id]
            if minutes not in (0, 310):
                _append(sandbox, next(others))

            _run(sandbox, start + timedelta(minutes=minutes))

            if pages_by_post(sandbox)[failing.tiktok_id] > asked:
                tried.append(minutes)
            waiting = [row for row in sandbox.sheet() if row["status"] != "Scraped"]
            assert [row["set id"] for row in waiting] == ["1"]  # all others at once

        assert tried == [0, 70, 260]  # an hour after the first, three hours after the second
        units = [unit for unit in sandbox.rows("scrape_units") if unit["slot"] == 0]
        (unit,) = [unit for unit in units if unit["state"] == "pending"]
        assert unit["attempts"] == 3
        wait = datetime.fromisoformat(unit["next_try_at"]) - start - timedelta(minutes=260)
        assert timedelta(hours=9) <= wait < timedelta(hours=9, minutes=10)


@pytest.mark.slow
def test_a_daily_scrape_that_fails_in_the_evening_is_retried_at_the_end_of_its_day(
    tmp_path: Path,
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        failing = next(post for post in sandbox.world.posts if _is_plain(post))
        tab = sandbox.sheets.book.tabs[0]
        tab.rows[:] = [[*HEADER]]
        tab.protected.clear()
        _append(sandbox, failing)
        first = _morning(sandbox)
        assert _run(sandbox, first).status == 0
        _fail(sandbox, failing)
        evening = first + timedelta(days=1, hours=18)  # 20:00
        tried: list[int] = []
        for minutes in (0, 50, 70, 150, 200, 212, 225):
            asked = pages_by_post(sandbox)[failing.tiktok_id]
            if minutes == 212:
                sandbox.tiktok.faults.clear()
            _run(sandbox, evening + timedelta(minutes=minutes))
            if pages_by_post(sandbox)[failing.tiktok_id] > asked:
                tried.append(minutes)

        assert tried == [0, 70, 212]  # the third would be at midnight: 23:30 is in its day
        (post,) = sandbox.rows("tiktok_posts")
        assert post["day1_views"] == failing.metrics.shown.views
