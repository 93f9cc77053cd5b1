"""Killed and interrupted processes, and runs at the same time."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_tiktok_tests.support.pipeline import (
    DEMO_POSTS_SCRAPED,
    DEMO_STATUSES,
    RUN,
    end_leases,
    hold_page,
    kill_when,
    pages_by_post,
    posts_beyond,
    script_run,
    slides_by_path,
    slides_by_post,
    until,
)
from dagster_tiktok_tests.support.processes import finished, running_sandbox

pytestmark = pytest.mark.node


@pytest.mark.slow
def test_the_run_after_a_kill_in_any_stage_finishes_without_repeating_work(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.tiktok.shaping.page_latency_ms = (150, 200)
        moments: list[Callable[[], bool]] = [
            lambda: len(pages_by_post(sandbox)) >= 12,
            lambda: len(slides_by_path(sandbox)) >= 10,
            lambda: len(slides_by_path(sandbox)) >= 70,
            lambda: len(sandbox.rows("tiktok_posts", "id")) >= 1,
        ]
        pages, slides_asked = dict[str, int](), dict[str, int]()
        for moment in moments:
            kill_when(script_run(sandbox, RUN), moment)
            asked, recorded = pages_by_post(sandbox), posts_beyond(sandbox, "pending")
            pages = {post: asked[post] for post in recorded} | pages
            asked, recorded = slides_by_post(sandbox), posts_beyond(sandbox, "pending", "scraped")
            slides_asked = {post: asked[post] for post in recorded} | slides_asked
            end_leases(sandbox)

        last = finished(script_run(sandbox, RUN))

        assert last.status == 0, last.stderr
        posts = sandbox.rows("tiktok_posts")
        slides = sandbox.rows("tiktok_slides")
        assert len(posts) == DEMO_POSTS_SCRAPED
        assert len(slides) == sum(post["slide_count"] for post in posts)
        assert {post["scrape_count"] for post in posts} == {1}
        statuses = Counter(row["status"] for row in sandbox.sheet())
        assert (statuses["Scraped"], statuses["Failed"]) == DEMO_STATUSES
        # Only what a killed process had not recorded yet is asked for again. A short link may lead
        # to a post that was read for another row.
        assert pages and slides_asked
        again = {post for post, count in pages.items() if pages_by_post(sandbox)[post] != count}
        assert len(again) <= 1
        assert {post: slides_by_post(sandbox)[post] for post in slides_asked} == slides_asked


def test_ctrl_c_prints_one_message_and_the_next_run_continues_at_once(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.tiktok.shaping.page_latency_ms = (150, 200)
        # Where the tests run in the background, a child would inherit that Ctrl-C is ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        hold_page(sandbox)
        process = sandbox.process("run")
        until(lambda: len(pages_by_post(sandbox)) >= 12)

        process.send_signal(signal.SIGINT)
        stopped = finished(process)
        sandbox.tiktok.faults.clear()

        assert stopped.status == 130
        # The thread that works may still log a line of its own before the process is gone.
        said = "dagster-tiktok: interrupted; run again to continue."
        assert stopped.stderr.splitlines().count(said) == 1
        assert "Traceback" not in stopped.stderr + stopped.stdout
        leases = {unit["leased_by"] for unit in sandbox.rows("scrape_units")}
        assert leases == {None}
        again = sandbox.invoke("run", "--json")
        assert again.status == 0, again.stderr
        # The post of two rows may be fetched by both runs, once for each row.
        counts = [post["scrape_count"] for post in sandbox.rows("tiktok_posts")]
        assert (len(counts), sum(counts)) in (
            (DEMO_POSTS_SCRAPED, DEMO_POSTS_SCRAPED),
            (DEMO_POSTS_SCRAPED, DEMO_POSTS_SCRAPED + 1),
        )


def test_a_database_that_goes_down_during_a_run_is_not_reported_as_a_wrong_setting(
    tmp_path: Path,
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.tiktok.shaping.page_latency_ms = (150, 200)
        # The run ends although a page is still awaited.
        hold_page(sandbox)
        process = sandbox.process("run", "--json")
        until(lambda: len(pages_by_post(sandbox)) >= 8)

        sandbox.do(sandbox.sandbox.supabase.close())
        ended = finished(process)
        sandbox.tiktok.faults.clear()
        sandbox.do(sandbox.sandbox.supabase.start())
        again = sandbox.invoke("run", "--json")

        assert ended.status == 1, ended.stderr
        assert "Traceback" not in ended.stderr
        assert "cannot be reached" in ended.result["error"]
        assert again.status == 0, again.stderr
        assert len(sandbox.rows("tiktok_posts")) == DEMO_POSTS_SCRAPED


def test_a_second_sandbox_in_the_same_folder_changes_nothing(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        kept = {p.name: p.read_bytes() for p in sandbox.sandbox.folder.glob("*.json")}

        second = sandbox.run(
            "sandbox", "--state-dir", str(tmp_path), "--env-file", str(tmp_path / "other")
        )

        assert second.status == 2
        assert "Another sandbox serves" in second.stderr
        assert "Traceback" not in second.stderr
        assert not (tmp_path / "other").exists()
        assert {p.name: p.read_bytes() for p in sandbox.sandbox.folder.glob("*.json")} == kept


@pytest.mark.slow
def test_two_concurrent_runs_share_the_work_and_repeat_nothing(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        sandbox.tiktok.shaping.page_latency_ms = (50, 100)

        runs = [sandbox.process("run", "--json") for _ in range(2)]
        results = [finished(run) for run in runs]

        assert min(result.status for result in results) == 0, [r.stderr for r in results]
        again = sandbox.invoke("run", "--json")
        assert again.status == 0
        assert again.result["urls_processed"] == 0
        # Two rows that lead to one post may fall to different runs.
        assert sum(pages_by_post(sandbox).values()) <= 44 + 1
        assert {post["scrape_count"] for post in sandbox.rows("tiktok_posts")} <= {1, 2}
        statuses = Counter(row["status"] for row in sandbox.sheet())
        assert (statuses["Scraped"], statuses["Failed"]) == DEMO_STATUSES
