"""TikTok rejects us, or shows some posts to nobody."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok_tests.support.pipeline import DEMO_STATUSES, quick_run
from dagster_tiktok_tests.support.processes import RunningSandbox, running_sandbox

pytestmark = pytest.mark.node


def append_ready(sandbox: RunningSandbox, posts: list[FakePost], width: int) -> None:
    columns = [name.strip().lower() for name in sandbox.cells[0]]
    for post in posts:
        cells = {
            "post url": f"https://www.tiktok.com/@_/video/{post.tiktok_id}",
            "va": "Ana",
            "creator": "Maya",
            "set id": "1",
            "type": "NEW",
            "status": "Ready to Scrape",
        }
        row = [cells.get(name, "") for name in columns]
        assert len(row) == width
        sandbox.sheets.book.tabs[0].rows.append([*row])


def test_a_run_that_tiktok_rejects_stops_and_counts_no_attempts(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.tiktok.faults.add(Fault("challenge", on="page"))
        # A short link that responds between two pages would begin the count again.
        sandbox.tiktok.faults.add(Fault("status", on="short", status=403))
        refused = quick_run(sandbox)

        assert refused.status == 1
        assert "TikTok rejected 10 requests in a row" in refused.stdout
        # Ten that count, and what is in flight when the pause begins and when the breaker opens.
        by_kind = sandbox.tiktok.log.by_kind
        assert by_kind["page"] + by_kind["short"] <= 10 + 2 * (8 - 1)
        (log,) = sandbox.rows("scraping_logs")
        assert log["status"] == "failed"
        assert "TikTok rejected" in log["error_message"]
        # However a stage ends, its totals are there: on such a day they are wanted most.
        totals = log["metrics"]["scraped_posts"]
        assert totals["scraped"] == 0
        assert totals["requests"] >= 10
        assert log["metrics"]["sheet_rows"]["ready"] > 0

        sandbox.tiktok.faults.clear()
        sandbox.tiktok.faults.add(Fault("expired", on="slide"))
        without_slides = sandbox.invoke("run", "--json")

        assert without_slides.status == 1
        assert "TikTok's CDN delivered none of the last" in without_slides.stderr
        log = next(
            row for row in sandbox.rows("scraping_logs") if row["metrics"].get("slide_files")
        )
        assert log["status"] == "partial"
        stage = log["metrics"]["slide_files"]
        rejection = log["failures"]["slide_files"]["rejection"]
        assert "TikTok's CDN delivered none of the last" in rejection
        assert stage["by_kind"].keys() == {"expired", "not_asked"}
        (host,) = stage["hosts"].values()
        assert host["failures"] == {"expired": stage["failed_requests"]}
        asked = sandbox.tiktok.log.by_kind["slide"]
        assert stage["failed_requests"] <= asked <= 2 * 2 * (10 + 2 * 3 * 5)
        scraped = [unit for unit in sandbox.rows("scrape_units") if unit["state"] == "scraped"]
        assert {unit["attempts"] for unit in scraped} == {0}

        sandbox.tiktok.faults.clear()
        healed = sandbox.invoke("run", "--json")

        assert healed.status == 0, healed.stderr
        assert healed.result["unfinished"] == 0
        assert {row["data_quality"] for row in sandbox.rows("tiktok_posts")} != {"partial"}
        statuses = Counter(row["status"] for row in sandbox.sheet())
        assert (statuses["Scraped"], statuses["Failed"]) == DEMO_STATUSES


@pytest.mark.slow
def test_posts_that_stay_unreadable_do_not_starve_the_others(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        assert sandbox.invoke("run").status == 0
        header = len(sandbox.cells[0])
        walled = [sandbox.world.new_post(status="login_wall") for _ in range(12)]
        for source in ("oembed", "embed"):
            sandbox.tiktok.faults.add(Fault("empty", on=source))
        append_ready(sandbox, walled, header)
        assert quick_run(sandbox).status == 1
        good = [sandbox.world.new_post() for _ in range(5)]
        append_ready(sandbox, good, header)

        statuses = []
        for hours in (0, 1, 3, 9, 24, 24):
            sandbox.move_clock(timedelta(hours=hours))
            statuses.append(quick_run(sandbox).status)

        by_post = {row["post url"].rpartition("/")[2]: row for row in sandbox.sheet()}
        assert {by_post[post.tiktok_id]["status"] for post in good} == {"Scraped"}
        ended = [by_post[post.tiktok_id] for post in walled]
        assert {row["status"] for row in ended} == {"Failed"}
        assert all("in 5 tries" in row["error"] for row in ended)
        assert statuses[-1] == 0
