"""The sandbox's sheet of 60 rows, from the command line to the database and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest

from dagster_tiktok.sandbox.demo_sheet import PROTECTED_CELL
from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok_tests.support.processes import Finished, RunningSandbox, running_sandbox

pytestmark = pytest.mark.node

WRITTEN = {"status", "error", "scraped at", "views", "likes", "comments", "shares", "slides"}
READY = "ready to scrape"


@dataclass(frozen=True)
class Day:
    """The demo's day after its first run. `before` and `after` are the sheet's rows."""

    sandbox: RunningSandbox
    before: list[dict[str, str]]
    after: list[dict[str, str]]
    run: Finished

    def ready(self) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
        for old, new in zip(self.before, self.after):
            if old["status"].strip().lower() == READY:
                yield old, new

    def post_of(self, row: dict[str, str]) -> FakePost | None:
        """The post that a URL leads to, by the world's own knowledge."""
        url = row["post url"].strip()
        world = self.sandbox.world
        for post in world.posts:
            if post.tiktok_id in url or f"/{post.short_code}" in url:
                return post
        return None


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    with running_sandbox(tmp_path_factory.mktemp("demo")) as sandbox:
        before = sandbox.sheet()
        run = sandbox.run("run", "--json")
        yield Day(sandbox, before, sandbox.sheet(), run)


def well_formed(row: dict[str, str]) -> bool:
    set_id, kind = row["set id"].strip(), row["type"].strip().upper()
    return set_id.isdigit() and kind in ("NEW", "REPOST")


def test_the_run_succeeds_and_leaves_nothing_unfinished(day: Day) -> None:
    assert day.run.status == 0, day.run.stderr
    assert day.run.result["unfinished"] == 0


def test_every_ready_row_that_can_be_scraped_is_scraped_with_its_metrics(day: Day) -> None:
    scraped = 0
    for old, new in day.ready():
        post = day.post_of(old)
        if post is None or post.status != "available" or not well_formed(old):
            continue
        scraped += 1
        assert new["status"] == "Scraped", (old, new)
        assert new["error"] == ""
        assert new["scraped at"].startswith(datetime.now(timezone.utc).strftime("%Y-"))
        if new in (day.after[2], day.after[6]):
            continue  # a formula and a protected cell, see below
        shown = post.metrics.shown
        counts = (shown.views, shown.likes, shown.comments)
        assert (new["views"], new["likes"], new["comments"]) == tuple(map(str, counts))
        assert (new["shares"], new["slides"]) == (str(shown.shares), str(post.slide_count))
    assert scraped >= 35


def test_a_formula_and_a_protected_cell_stay_and_their_rows_are_written(day: Day) -> None:
    formula, protected = day.after[2], day.after[6]
    assert (formula["status"], protected["status"]) == ("Scraped", "Scraped")
    assert "=J4/10" in formula["likes"]
    assert protected["shares"] == ""
    assert "" not in (formula["views"], protected["views"], protected["likes"])
    told = day.run.stdout + day.run.stderr
    assert f"the cell {PROTECTED_CELL}" in told
    assert "is computed by a formula and left alone (row 4)" in told


def test_a_row_with_a_status_that_is_not_known_stays_and_is_named(day: Day) -> None:
    assert 'unknown status "On hold"' in day.run.stderr


def test_every_ready_row_that_cannot_be_scraped_says_why(day: Day) -> None:
    reasons = {}
    for old, new in day.ready():
        post = day.post_of(old)
        if post is None or post.status != "available" or not well_formed(old):
            assert new["status"] == "Failed", (old, new)
            assert len(new["error"]) > 10
            assert new["views"] == ""
            reasons[post.status if post else old["post url"]] = new["error"]
    assert len(reasons) >= 10
    assert "deleted" in reasons["deleted"].lower() or "gone" in reasons["deleted"].lower()
    assert "private" in reasons["private"].lower()
    assert reasons["see dm"].startswith(
        'Post URL is not a TikTok link: "see dm"; the cell holds only text'
    )


def test_rows_that_were_not_ready_are_untouched_to_the_cell(day: Day) -> None:
    untouched = [
        (old, new)
        for old, new in zip(day.before, day.after)
        if old["status"].strip().lower() != READY
    ]

    assert len(untouched) >= 7
    assert all(old == new for old, new in untouched)


def test_no_cell_is_written_that_the_pipeline_does_not_own(day: Day) -> None:
    for old, new in zip(day.before, day.after):
        assert {k: v for k, v in old.items() if k not in WRITTEN} == {
            k: v for k, v in new.items() if k not in WRITTEN
        }


def test_the_database_holds_each_post_once_with_what_its_page_said(day: Day) -> None:
    expected = {
        post.tiktok_id: post
        for old, _ in day.ready()
        if (post := day.post_of(old)) and post.status == "available" and well_formed(old)
    }
    posts = day.sandbox.rows("tiktok_posts")

    assert sorted(post["tiktok_id"] for post in posts) == sorted(expected)
    for row in posts:
        post = expected[row["tiktok_id"]]
        assert row["post_url"] == post.canonical_url
        counts = ("views", "likes", "comments", "shares", "bookmarks")
        assert {k: row[k] for k in counts} == {k: getattr(post.metrics.shown, k) for k in counts}
        assert row["account"] == post.account
        assert row["account_verified"] == post.verified
        assert row["post_description"] == "\n".join(filter(None, (post.title, post.desc)))
        assert row["hashtags"] == list(post.hashtags)
        assert row["slide_count"] == post.slide_count
        assert row["data_quality"] == "complete"
        assert row["scrape_count"] == 1
        assert row["scrape_status"] == "active"
        interactions = sum(row[k] for k in counts[1:])
        assert row["engagement"] == interactions
        rate = 100 * interactions / row["views"] if row["views"] else 0
        assert float(row["engagement_rate"]) == pytest.approx(rate, abs=0.0051)


def test_two_rows_with_the_same_post_are_both_written_back(day: Day) -> None:
    by_post: dict[str, list[dict[str, str]]] = {}
    for old, new in day.ready():
        if post := day.post_of(old):
            by_post.setdefault(post.tiktok_id, []).append(new)
    twice = {k: rows for k, rows in by_post.items() if len(rows) > 1}

    assert twice
    for tiktok_id, rows in twice.items():
        assert [row["status"] for row in rows] == ["Scraped"] * len(rows)
        path = f"/@_/video/{tiktok_id}"
        assert day.sandbox.tiktok.log.by_path[path] == 1


def test_the_database_holds_each_slide_once_as_the_site_serves_it(day: Day) -> None:
    posts = {row["id"]: row for row in day.sandbox.rows("tiktok_posts")}
    slides = day.sandbox.rows("tiktok_slides")
    world, images = day.sandbox.world, day.sandbox.tiktok.images

    assert len(slides) == sum(row["slide_count"] for row in posts.values())
    for row in slides:
        post = world.by_id[posts[row["post_id"]]["tiktok_id"]]
        slide = post.slides[row["slide_number"] - 1]
        image = day.sandbox.do(images.get(slide.image_key))
        assert image is not None
        content = image.data
        assert row["content_hash"] == hashlib.sha256(content).hexdigest()
        assert (row["width"], row["height"]) == (slide.width, slide.height)
        assert row["mime_type"] == f"image/{slide.image_format}"
        assert row["file_size"] == len(content)
        number = f"{row['slide_number']:02d}"
        assert row["storage_path"].startswith(
            f"{post.tiktok_id}/{number}-{row['content_hash'][:16]}"
        )


def test_every_slide_can_be_read_at_its_public_url_without_a_key(day: Day) -> None:
    for row in day.sandbox.rows("tiktok_slides")[::7]:
        content = httpx.get(row["public_url"]).raise_for_status().content
        assert hashlib.sha256(content).hexdigest() == row["content_hash"]


def test_the_daily_scrapes_of_the_five_following_days_are_open(day: Day) -> None:
    posts = {row["tiktok_id"] for row in day.sandbox.rows("tiktok_posts")}
    units = [u for u in day.sandbox.rows("scrape_units") if u["slot"] > 0]

    assert len(units) == 5 * len(posts)
    assert {u["tiktok_id"] for u in units} == posts
    assert {u["state"] for u in units} == {"pending"}


def test_the_metrics_of_the_run_agree_with_the_database(day: Day) -> None:
    result = day.run.result
    (log,) = day.sandbox.rows("scraping_logs")
    looks = [u for u in day.sandbox.rows("scrape_units") if u["slot"] == 0]

    assert log["batch_id"] == result["batch_id"]
    assert log["status"] == "completed"
    assert log["total_urls"] == result["urls_processed"] == len(looks)
    assert log["successful_scrapes"] == result["succeeded"]
    assert result["succeeded"] == sum(u["outcome"] == "scraped" for u in looks)
    assert result["unavailable"] == sum(u["outcome"] == "unavailable" for u in looks)
    slides = day.sandbox.rows("tiktok_slides")
    assert result["slides_downloaded"] == result["slides_uploaded"] == len(slides)
    assert result["bytes_downloaded"] == sum(row["file_size"] for row in slides)
    stage = log["metrics"]["slide_files"]
    assert (stage["uploaded"], stage["failed"], stage["skipped"]) == (len(slides), 0, 0)
    (host,) = stage["hosts"].values()
    assert (host["downloaded"], host["failed_requests"]) == (len(slides), 0)
    assert 0 < host["seconds_average"] <= host["seconds_p95"]
    assert result["success_rate"] == pytest.approx(result["succeeded"] / len(looks))
    # One more: the row of which one cell could not be written.
    assert len(result["errors"]) == result["unavailable"] + 1


def test_a_second_run_asks_for_nothing_and_writes_nothing_and_says_so(day: Day) -> None:
    requests = day.sandbox.tiktok.request_count
    writes = write_count(day.sandbox)
    posts = day.sandbox.rows("tiktok_posts")

    again = day.sandbox.invoke("run", "--json")

    assert again.status == 0, again.stderr
    assert day.sandbox.tiktok.request_count == requests
    assert write_count(day.sandbox) == writes
    assert day.sandbox.rows("tiktok_posts") == posts
    assert again.result["urls_processed"] == again.result["slides_downloaded"] == 0
    assert "nothing is due" in again.stderr


def write_count(sandbox: RunningSandbox) -> Any:
    return sandbox.sheets.gate.log.describe()["counts"]["write"]
