"""The days after the first, and rows that ask for another scrape."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

# A run with a short lease, so that the test need not wait half a minute for a dead one's units.
import pytest

from dagster_tiktok_tests.support.pipeline import (
    slides_by_path,
)
from dagster_tiktok_tests.support.processes import running_sandbox

pytestmark = pytest.mark.node


def test_the_following_days_fill_their_slots_and_a_missed_day_stays_empty(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        assert sandbox.invoke("run").status == 0
        first = {p["tiktok_id"]: p["views"] for p in sandbox.rows("tiktok_posts")}
        slides = sum(slides_by_path(sandbox).values())
        sandbox.world.age()
        sandbox.move_clock(timedelta(days=2))

        second = sandbox.invoke("run", "--json")

        assert second.status == 0, second.stderr
        assert second.result["succeeded"] == len(first)
        assert sum(slides_by_path(sandbox).values()) == slides, "a daily scrape moves no slide"
        for post in sandbox.rows("tiktok_posts"):
            views = sandbox.world.by_id[post["tiktok_id"]].metrics.shown.views
            assert post["day1_views"] is None, "a late number in the wrong slot would be a lie"
            assert post["day2_views"] == post["views"] == views > first[post["tiktok_id"]]
            assert post["scrape_count"] == 2
        expired = [u for u in sandbox.rows("scrape_units") if u["outcome"] == "expired"]
        assert {u["slot"] for u in expired} == {1}


def test_a_row_set_back_to_ready_is_scraped_again(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        assert sandbox.invoke("run").status == 0
        index = next(i for i, row in enumerate(sandbox.sheet()) if row["status"] == "Scraped")
        column = [name.strip().lower() for name in sandbox.cells[0]].index("status")
        sandbox.world.age()
        sandbox.sheets.book.tabs[0].set(index + 1, column, "Ready to Scrape")

        again = sandbox.invoke("run", "--json")

        assert again.status == 0, again.stderr
        assert (again.result["succeeded"], again.result["slides_downloaded"]) == (1, 0)
        row = sandbox.sheet()[index]
        post = next(
            p
            for p in sandbox.world.posts
            if p.tiktok_id in row["post url"] or f"/{p.short_code}" in row["post url"]
        )
        assert row["status"] == "Scraped"
        assert row["views"] == str(post.metrics.shown.views)
