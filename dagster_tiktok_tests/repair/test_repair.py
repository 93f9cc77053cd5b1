"""`dagster-tiktok repair` on the local TikTok and the local Supabase."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from dagster_tiktok.database.functions import open_database
from dagster_tiktok.repair.records import RestoredSlide, SlideRecords
from dagster_tiktok.repair.removal import SlideRemover, open_slide_remover
from dagster_tiktok.repair.service import (
    RepairReport,
    are_most,
    find_objects,
    find_rows,
    remove_objects,
)
from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.settings import load_settings
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.mover import SlideMover
from dagster_tiktok.slides.paths import is_slide_path
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok_tests.support.pipeline import kill_when
from dagster_tiktok_tests.support.processes import Finished, RunningSandbox, running_sandbox

pytestmark = pytest.mark.node

JPEG = b"\xff\xd8\xff\xe0" + b"0" * 100
BUCKET = "tiktok-slides"


class Stage:
    """A TikTok, a database and a bucket. What is in the last two is forgotten by `clear`."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.sandbox = sandbox
        self.settings = load_settings(
            None, **{name.lower(): value for name, value in sandbox.environment.items()}
        )
        self.database = sandbox.database
        self.bucket = self.database.storage.from_(BUCKET)
        self.http = httpx.Client()
        self.requests = sandbox.tiktok.log

    def clear(self) -> None:
        self.database.table("tiktok_posts").delete().gte("id", 0).execute()
        if names := self.objects():
            self.bucket.remove(names)
        self.clear_cache()
        self.sandbox.tiktok.faults.clear()
        self.requests.reset()

    def clear_cache(self) -> None:
        shutil.rmtree(self.settings.slide_cache_dir, ignore_errors=True)

    def stored(self, *slide_counts: int) -> list[FakePost]:
        """New carousels whose slides and rows are as a run leaves them."""
        posts = [self.sandbox.world.new_post(slide_count=count) for count in slide_counts]
        asyncio.run(self._store(posts))
        self.requests.reset()
        return posts

    async def _store(self, posts: list[FakePost]) -> None:
        async with (
            TikTokClient(self.settings) as client,
            SlideDownloader(self.settings) as downloader,
            open_slide_store(self.settings) as store,
            open_database(self.settings) as database,
        ):
            mover = SlideMover(downloader, store)
            for post in posts:
                page = await client.fetch_post(post.tiktok_id, with_followers=False)
                moved = await mover.move(page)
                row = {"tiktok_id": post.tiktok_id, "post_url": page.post_url}
                self.database.table("tiktok_posts").insert(
                    {**row, "slide_count": len(page.slides)}
                ).execute()
                slides = [RestoredSlide(**s.model_dump(), replaces=None) for s in moved.slides]
                records = SlideRecords(database, BUCKET)
                await records.write_slides(post.tiktok_id, slides, slide_count=None)

    def rows(self, post: FakePost) -> list[dict[str, Any]]:
        """The rows of its slides, in order."""
        mine = [row for row in self.all_rows() if f"/{post.tiktok_id}" in row["post_url"]]
        return sorted(mine, key=lambda row: int(row["slide_number"]))

    def all_rows(self) -> list[dict[str, Any]]:
        rows: Any = self.database.table("tiktok_slides").select("*").execute().data
        return list(rows)

    def lose(self, post: FakePost, *numbers: int) -> None:
        rows = self.rows(post)
        self.bucket.remove([rows[number - 1]["storage_path"] for number in numbers])

    def objects(self) -> list[str]:
        """The names of all of them; folders are one deep here."""
        names = []
        for each in self.bucket.list():
            is_folder = each["id"] is None
            names += [
                # The local Supabase returns whole names, a hosted one those in the folder.
                f"{each['name']}/{inside['name'].rpartition('/')[2]}"
                for inside in (self.bucket.list(each["name"]) if is_folder else ())
            ] or [each["name"]]
        return sorted(names)

    def upload(self, name: str, content: bytes = JPEG) -> None:
        self.bucket.upload(name, content, {"content-type": "image/jpeg", "upsert": "true"})

    def repair(self, *arguments: str, **environment: str | None) -> Finished:
        return self.sandbox.invoke("repair", "--older-than", "0", *arguments, **environment)

    def broken(self) -> list[str]:
        """Paths on record whose object is not the image of the row."""
        return [
            row["storage_path"]
            for row in self.all_rows()
            if hashlib.sha256(self.http.get(row["public_url"]).content).hexdigest()
            != row["content_hash"]
        ]

    @property
    def pages(self) -> int:
        return self.requests.by_kind["page"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(folder, parts={"tiktok", "supabase"}) as sandbox:
        sandbox.environment |= {
            "GOOGLE_SHEETS_CREDENTIALS": "{}",
            "GOOGLE_SHEET_URL": "https://docs.google.com/spreadsheets/d/0123456789/edit#gid=0",
        }
        yield Stage(sandbox)


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.clear()
    return running


def test_nothing_is_found_or_changed_when_rows_and_objects_agree(stage: Stage) -> None:
    stage.stored(2, 1)

    told = stage.repair("--fix")

    assert told.status == 0
    assert told.stdout == "Checked 3 rows and 3 objects.\nNothing is wrong.\n"
    assert stage.requests.total == 0


def test_lost_objects_are_restored_from_the_cache_or_from_tiktok(stage: Stage) -> None:
    kept, forgotten = stage.stored(2, 3)
    stage.lose(kept, 2)

    found = stage.repair()
    assert (found.status, stage.requests.total) == (1, 0)
    assert f"{kept.tiktok_id}, slide 2: no object {stage.rows(kept)[1]['storage_path']}" in (
        found.stdout
    )
    assert "Nothing was changed. Run with --fix to repair this." in found.stdout

    before = stage.rows(kept)
    assert stage.repair("--fix").stdout.endswith("Everything is repaired.\n")
    assert (stage.broken(), stage.requests.total, stage.rows(kept)) == ([], 0, before)

    stage.clear_cache()
    stage.lose(forgotten, 1, 3)
    told = stage.repair("--fix", "--json")
    assert (told.status, stage.broken(), stage.pages) == (0, [], 1)
    assert stage.requests.by_kind["slide"] == 2
    (post,) = told.result["posts"]
    assert post == {
        "tiktok_id": forgotten.tiktok_id,
        "result": "repaired",
        "slides": [1, 3],
        "reasons": [],
    }


def test_a_clock_three_days_ahead_dates_nothing_after_the_databases_time(stage: Stage) -> None:
    # Of two uploads the later one counts: one from Saturday would be there until Saturday.
    stage.sandbox.move_clock(timedelta(days=-3))
    try:
        (post,) = stage.stored(2)
        first = [datetime.fromisoformat(row["uploaded_at"]) for row in stage.rows(post)]
        stage.lose(post, 1)
        stage.clear_cache()
        told = stage.repair("--fix")
        second = [datetime.fromisoformat(row["uploaded_at"]) for row in stage.rows(post)]
        clock: Any = stage.database.rpc("database_clock", {"p": {"timezone": "UTC"}}).execute().data
    finally:
        stage.sandbox.move_clock(timedelta(days=3))

    assert (told.status, stage.broken()) == (0, []), told.stdout
    assert first <= second
    assert max(second) <= datetime.fromisoformat(clock["now"])


def test_a_replaced_object_is_recognised_by_its_size_and_fixed(stage: Stage) -> None:
    (post,) = stage.stored(1)
    (row,) = stage.rows(post)
    stage.upload(row["storage_path"])

    told = stage.repair("--fix", "--json")

    (wrong,) = told.result["rows_without_object"]
    assert (wrong["problem"], wrong["object_size"]) == ("other_size", len(JPEG))
    assert (told.status, stage.broken()) == (0, [])


def test_gone_posts_and_bad_rows_are_reported_and_the_others_fixed(stage: Stage) -> None:
    gone, unreadable, bad, fine = stage.stored(1, 1, 1, 1)
    for post in (gone, unreadable, bad):
        stage.lose(post, 1)
    stage.clear_cache()
    stage.sandbox.world.add_post(replace(gone, status="deleted"))
    stage.sandbox.tiktok.faults.add(Fault("no_script", on="page", post_id=unreadable.tiktok_id))
    no_id, bad_path = "9" * 25, {"storage_path": "\x1b[2J../7"}
    posts, slides = stage.database.table("tiktok_posts"), stage.database.table("tiktok_slides")
    posts.update({"tiktok_id": no_id}).eq("id", stage.rows(bad)[0]["post_id"]).execute()
    slides.update(bad_path).eq("id", stage.rows(fine)[0]["id"]).execute()
    row = stage.rows(gone)

    told = stage.repair("--fix", "--json")

    as_json = told.result
    assert (told.status, "\x1b" in told.stderr) == (1, False)
    assert "1 posts repaired, 1 slides stored again." in told.stderr
    results = {post["tiktok_id"]: post["result"] for post in as_json["posts"]}
    left = {gone.tiktok_id: "lost", unreadable.tiktok_id: "left", no_id: "left"}
    assert results == {**left, fine.tiktok_id: "repaired"}
    assert (as_json["left"], stage.rows(gone)) == (3, row)
    assert len(stage.broken()) == 3


def test_the_rows_follow_a_changed_carousel(stage: Stage) -> None:
    (post,) = stage.stored(3)
    stage.lose(post, 2)
    stage.clear_cache()
    second, third = post.slides[1:]
    shown = (replace(second, number=1), replace(third, number=2))
    stage.sandbox.world.add_post(replace(post, slides=shown))
    hashes = [row["content_hash"] for row in stage.rows(post)]

    told = stage.repair("--fix", "--json")

    assert (told.status, stage.broken()) == (0, [])
    assert [row["content_hash"] for row in stage.rows(post)] == hashes[1:]
    assert told.result["posts"][0]["reasons"] == ["TikTok shows 2 slides now: 1 rows were removed."]


def test_orphaned_slides_are_removed_and_other_objects_stay(stage: Stage) -> None:
    (post,) = stage.stored(1)
    slides = [f"7/{n:02}-0123456789abcdef.jpg" for n in range(1, 4)]
    foreign = ["7/readme.jpg", "a\x1b[31m.jpg", f"{post.tiktok_id}/1-0123456789abcdef.jpg"]
    for name in (*slides, *foreign):
        stage.upload(name.replace("\x1b", "%1B"))

    young = stage.sandbox.invoke("repair")
    told = stage.repair("--fix", "--json")

    assert young.stdout == "Checked 1 rows and 7 objects.\nNothing is wrong.\n"
    assert (told.status, "\x1b" in told.stderr) == (1, False)  # the foreign ones are left
    assert "3 orphaned objects:" in told.stderr
    assert told.result["removed"] == slides
    assert {each["name"] for each in told.result["foreign_objects"]} == set(foreign)
    kept = [*foreign, stage.rows(post)[0]["storage_path"]]
    assert stage.objects() == sorted(kept)


def test_an_object_whose_row_was_lost_is_not_removed_while_its_post_shows_it(stage: Stage) -> None:
    (post,) = stage.stored(2)
    objects = stage.objects()
    row = stage.rows(post)[0]
    stage.database.table("tiktok_slides").delete().eq("id", row["id"]).execute()

    told = stage.repair("--fix", "--older-than", "0", "--json")

    assert (told.result["objects_without_row"], told.result["removed"]) == ([], [])
    assert stage.objects() == objects


def test_an_object_that_gets_a_row_meanwhile_is_not_removed(stage: Stage) -> None:
    (post,) = stage.stored(3)
    objects = stage.objects()
    stage.upload("7/01-0123456789abcdef.jpg")
    (row,) = (row for row in stage.rows(post) if row["slide_number"] == 2)
    slides = stage.database.table("tiktok_slides")
    slides.update({"storage_path": "elsewhere"}).eq("id", row["id"]).execute()
    posts = stage.database.table("tiktok_posts")
    posts.update({"slides": []}).eq("id", row["post_id"]).execute()
    report = RepairReport()

    async def remove() -> None:
        async with (
            open_database(stage.settings) as database,
            open_slide_remover(stage.settings) as remover,
        ):
            records = SlideRecords(database, BUCKET, page=2)
            await find_rows(records, report)
            await find_objects(records, report, older_than_hours=0)
            path = {"storage_path": row["storage_path"]}
            slides.update(path).eq("id", row["id"]).execute()
            await remove_objects(
                records, remover, report, older_than_hours=0, force=False, advance=int
            )

    asyncio.run(remove())

    assert (report.slides_examined, report.objects_examined) == (3, 4)
    assert {each.name for each in report.orphaned} == {
        row["storage_path"],
        "7/01-0123456789abcdef.jpg",
    }
    assert (report.removed, stage.objects()) == (["7/01-0123456789abcdef.jpg"], objects)


def test_a_repair_after_a_kill_fixes_everything(stage: Stage) -> None:
    posts = stage.stored(*[2] * 4)
    for post in posts:
        stage.lose(post, 1, 2)
    stage.clear_cache()
    stage.upload("7/01-0123456789abcdef.jpg")
    # The last post's slides do not come, however slow the kill is.
    delay = Fault("slow", on="slide", post_id=posts[-1].tiktok_id, latency_ms=(600_000.0,) * 2)
    stage.sandbox.tiktok.faults.add(delay)

    process = stage.sandbox.process("repair", "--fix")
    kill_when(process, lambda: len(stage.broken()) < 8)
    assert process.returncode == -9
    assert 0 < len(stage.broken()) < 8
    stage.sandbox.tiktok.faults.clear()
    told = stage.repair("--fix")

    assert (told.status, stage.broken()) == (0, [])
    assert "1 objects removed." in told.stdout
    # Those that were in flight at the kill, at most, are asked for again.
    assert stage.requests.by_kind["slide"] <= 8 + stage.settings.slide_max_concurrent_downloads


def test_a_wrong_bucket_or_missing_key_is_reported_by_variable(stage: Stage) -> None:
    wrong = stage.repair("--json", SUPABASE_BUCKET="nowhere")
    assert (wrong.status, wrong.result["ok"]) == (2, False)
    assert "SUPABASE_BUCKET" in wrong.stderr

    unset = stage.repair(SUPABASE_KEY=None)
    assert (unset.status, unset.stderr.count("SUPABASE_KEY is not set")) == (2, 1)


@pytest.mark.parametrize(
    ("orphaned", "objects", "expected"),
    [(0, 0, False), (100, 100, False), (101, 101, True), (101, 202, False), (101, 201, True)],
)
def test_many_orphaned_objects_look_like_lost_rows(
    orphaned: int, objects: int, expected: bool
) -> None:
    assert are_most(orphaned, objects) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("7300000000000000001/01-0123456789abcdef.jpg", True),
        ("7300000000000000001/35-0123456789abcdef.webp", True),
        ("7300000000000000001/1-0123456789abcdef.jpg", False),
        ("7300000000000000001/01-0123456789ABCDEF.jpg", False),
        ("x7/01-0123456789abcdef.jpg", False),
        ("7/../8/01-0123456789abcdef.jpg", False),
        ("7/01-0123456789abcdef.jpg\n", False),
        ("\u0667/01-0123456789abcdef.jpg", False),
        ("", False),
    ],
)
def test_only_paths_of_the_contract_are_slides(name: str, expected: bool) -> None:
    assert is_slide_path(name) is expected


def test_the_remover_does_not_accept_a_name_that_is_no_slide(stage: Stage) -> None:
    stage.upload("7/readme.jpg")

    async def remove() -> None:
        async with open_slide_remover(stage.settings) as remover:
            assert isinstance(remover, SlideRemover)
            await remover.remove(["7/01-0123456789abcdef.jpg", "7/readme.jpg"])

    with pytest.raises(ValueError, match="readme"):
        asyncio.run(remove())
    assert stage.objects() == ["7/readme.jpg"]
