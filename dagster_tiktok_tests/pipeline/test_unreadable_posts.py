"""Posts whose page can't be read at first, or at all: further passes, other sources, kept pages."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok_tests.pipeline.test_rejections import append_ready
from dagster_tiktok_tests.support.pipeline import (
    DEMO_POSTS_SCRAPED,
    DEMO_STATUSES,
    QUICK_BREAKER,
    end_leases,
    kill_when,
    pages_by_post,
    quick_run,
    script_run,
)
from dagster_tiktok_tests.support.processes import RunningSandbox, running_sandbox

pytestmark = pytest.mark.node

LAST_TRY = 4


def units_of(sandbox: RunningSandbox, post: FakePost, slot: int = 0) -> list[dict[str, Any]]:
    units = sandbox.rows("scrape_units")
    return [u for u in units if u["tiktok_id"] == post.tiktok_id and u["slot"] == slot]


def row_of(sandbox: RunningSandbox, post: FakePost) -> dict[str, str]:
    (row,) = [row for row in sandbox.sheet() if post.tiktok_id in row["post url"]]
    return row


def record_of(sandbox: RunningSandbox, post: FakePost) -> dict[str, Any]:
    (row,) = [r for r in sandbox.rows("tiktok_posts") if r["tiktok_id"] == post.tiktok_id]
    return row


def set_tries(sandbox: RunningSandbox, tries: int) -> None:
    """As if so many runs had failed before."""
    units = sandbox.database.table("scrape_units")
    units.update({"attempts": tries}).eq("state", "pending").eq("slot", 0).execute()


def test_rejected_posts_are_read_in_another_pass_of_the_same_run(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        rejected = [sandbox.world.videos()[0], sandbox.world.carousels(6)[1]]
        for post, kind in zip(rejected, ("challenge", "captcha")):
            sandbox.tiktok.faults.add(Fault(kind, on="page", post_id=post.tiktok_id, times=1))

        run = quick_run(sandbox)

        assert run.status == 0, run.stderr
        ids = {post.tiktok_id for post in rejected}
        pages = pages_by_post(sandbox)
        assert {post for post, count in pages.items() if count > 1} == ids
        assert max(pages.values()) == 2
        (log,) = sandbox.rows("scraping_logs")
        stage = log["metrics"]["scraped_posts"]
        assert (stage["scraped_later"], stage["to_try_again"]) == (2, 0)
        assert stage["methods"] == {"page": stage["scraped"]}
        assert stage["requests"] == sandbox.tiktok.request_count - slides_served(sandbox)
        again = sandbox.invoke("run", "--json")
        assert (again.status, again.result["urls_processed"]) == (0, 0)


def slides_served(sandbox: RunningSandbox) -> int:
    return sandbox.tiktok.log.by_kind["slide"]


@pytest.mark.slow
def test_a_run_killed_before_another_pass_loses_and_counts_nothing(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        post = sandbox.world.videos()[0]
        sandbox.tiktok.faults.add(Fault("challenge", on="page", post_id=post.tiktok_id, times=1))

        def waits() -> bool:
            pending = [u for u in sandbox.rows("scrape_units") if u["state"] == "pending"]
            return len(pages_by_post(sandbox)) > DEMO_POSTS_SCRAPED and len(pending) == 1

        long_pause = QUICK_BREAKER.replace("pass_pause_seconds=0.3", "pass_pause_seconds=3600.0")
        kill_when(script_run(sandbox, long_pause), waits)
        (unit,) = units_of(sandbox, post)
        assert (unit["state"], unit["attempts"], unit["error_kind"]) == ("pending", 0, None)
        assert unit["leased_by"] is not None
        end_leases(sandbox, after=timedelta(seconds=3))

        last = quick_run(sandbox)

        assert last.status == 0, last.stderr
        assert Counter(pages_by_post(sandbox).values()) == {
            2: 1,
            1: len(pages_by_post(sandbox)) - 1,
        }
        statuses = Counter(row["status"] for row in sandbox.sheet())
        assert (statuses["Scraped"], statuses["Failed"]) == DEMO_STATUSES


@pytest.mark.slow
def test_a_post_behind_a_challenge_is_kept_by_oembed_and_gets_metrics_from_a_daily_scrape(
    tmp_path: Path,
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        assert sandbox.invoke("run").status == 0
        width = len(sandbox.cells[0])
        walled = sandbox.world.new_post(status="login_wall", slide_count=0)
        known = next(p for p in sandbox.world.carousels() if len(units_of(sandbox, p)) == 1)
        before = record_of(sandbox, known)
        sandbox.world.add_post(replace(known, status="login_wall"))
        append_ready(sandbox, [walled], width)
        set_ready(sandbox, known)

        assert quick_run(sandbox).status == 1
        for post in (walled, known):
            (unit,) = units_of(sandbox, post)
            assert (unit["attempts"], unit["error_kind"]) == (1, "login_wall")
            assert row_of(sandbox, post)["status"] == "Ready to Scrape"
            assert "oembed" not in sandbox.tiktok.log.by_kind
        snapshots = len(sandbox.rows("post_metrics"))
        set_tries(sandbox, LAST_TRY)
        sandbox.move_clock(timedelta(hours=1))
        assert quick_run(sandbox).status == 0

        # Of the new one existence, caption and account are known, and no metrics.
        row, record = row_of(sandbox, walled), record_of(sandbox, walled)
        assert (row["status"], row["error"], row["views"], row["likes"]) == ("Scraped", "", "", "")
        assert row["slides"] == "", "no source has said that there are none"
        assert (record["scraping_method"], record["data_quality"]) == ("oembed", "partial")
        assert (record["account"], record["post_description"]) == (walled.account, walled.desc)
        assert record["hashtags"] == list(walled.hashtags)
        counts = ("views", "likes", "comments", "shares", "bookmarks", "followers")
        assert {record[name] for name in counts} == {None}
        assert sandbox.tiktok.log.by_kind["oembed"] == 2
        # Of the old one nothing is overwritten.
        after = record_of(sandbox, known)
        kept = (*counts, "hashtags", "sound", "slides", "slide_count", "post_url", "created_date")
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
        assert after["data_quality"] == "partial"
        assert row_of(sandbox, known)["slides"] == str(known.slide_count)
        stored = [s for s in sandbox.rows("tiktok_slides") if s["post_id"] == after["id"]]
        assert len(stored) == known.slide_count
        assert len(sandbox.rows("post_metrics")) == snapshots, "a snapshot without metrics is none"

        # The wall falls, and the next day's scrape brings the metrics.
        sandbox.world.add_post(replace(walled, status="available"))
        sandbox.world.add_post(known)
        today = date.fromisoformat(sandbox.invoke("run", "--json").result["partition"])
        (first,) = units_of(sandbox, walled, slot=1)
        assert first["due_date"] == (today + timedelta(days=1)).isoformat()
        sandbox.move_clock(timedelta(days=1))
        assert quick_run(sandbox).status == 0
        record = record_of(sandbox, walled)
        assert record["views"] == record["day1_views"] == walled.metrics.shown.views
        assert (record["scraping_method"], record["data_quality"]) == ("page", "complete")


def set_ready(sandbox: RunningSandbox, post: FakePost) -> None:
    column = [name.strip().lower() for name in sandbox.cells[0]].index("status")
    for index, row in enumerate(sandbox.sheet()):
        if post.tiktok_id in row["post url"]:
            sandbox.sheets.book.tabs[0].set(index + 1, column, "Ready to Scrape")


def test_the_data_of_a_page_without_required_fields_is_kept_for_the_maintainer(
    tmp_path: Path,
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        post = replace(sandbox.world.videos()[0], omit=frozenset({"id"}))
        sandbox.world.add_post(post)

        run = quick_run(sandbox)

        assert run.status == 1
        folder = Path(sandbox.environment["SLIDE_CACHE_DIR"]).parent / "unreadable-pages"
        (kept,) = folder.iterdir()
        assert kept.name == f"{post.tiktok_id}-incomplete.json"
        page = httpx.get(f"{sandbox.tiktok.url}/@_/video/{post.tiktok_id}").text
        script = page.partition('id="__UNIVERSAL_DATA_FOR_REHYDRATION__"')[2]
        shown = json.loads(script.partition(">")[2].partition("</script>")[0])
        context = shown["__DEFAULT_SCOPE__"]["webapp.app-context"]
        of_the_visit = ("csrfToken", "nonce", "wid", "odinId", "encryptedWebid", "requestId")
        secrets = [context[name] for name in of_the_visit if context[name]]
        assert len(secrets) >= 5
        assert not [secret for secret in secrets if secret in kept.read_text()]
        context |= dict.fromkeys(of_the_visit, "")
        assert json.loads(kept.read_text()) == shown
