"""Repairs slide rows and bucket objects that disagree.

Each post is repaired separately: its slides are stored, then its rows are written in one
transaction. So a repair may be killed anywhere and run again, and may run beside the pipeline. It
leaves a row alone that a run has written meanwhile, and keeps an object that has a row by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from pydantic import ValidationError

from dagster_tiktok.database.functions import DataRejectedError
from dagster_tiktok.models import Post, SlideSource, StoredSlide
from dagster_tiktok.repair.records import (
    BrokenSlide,
    BucketObject,
    PostSlides,
    RestoredSlide,
    SlideRecords,
)
from dagster_tiktok.repair.removal import REMOVED_AT_ONCE, SlideRemover
from dagster_tiktok.slides.mover import FetchPost, MoveResult, SlideMover, slides_wanted
from dagster_tiktok.slides.paths import is_slide_path
from dagster_tiktok.tasks import for_each
from dagster_tiktok.tiktok.failures import PostUnavailableError
from dagster_tiktok.tiktok.links.post_links import is_tiktok_id

MANY = 100
"""More orphaned objects than this are removed only with `force`, if they are most of the bucket."""


@dataclass(frozen=True)
class PostRepair:
    """The result for a post with broken rows.

    `lost`: TikTok no longer shows it. `left`: another repair may succeed. `slides` are the numbers
    of slides that are in the bucket again; the other rows are unchanged.
    """

    tiktok_id: str
    result: Literal["repaired", "lost", "left"]
    slides: tuple[int, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass
class RepairReport:
    """What was found, and what was done about it.

    `settled`: names in `orphaned` that are gone or have a row now; `removed`: those that this
    repair removed. `errors`: messages of what ended a part early.
    """

    slides_examined: int = 0
    objects_examined: int = 0
    broken: list[BrokenSlide] = field(default_factory=list)
    orphaned: list[BucketObject] = field(default_factory=list)
    foreign: list[BucketObject] = field(default_factory=list)
    posts: list[PostRepair] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    @property
    def broken_posts(self) -> list[str]:
        """The ids of posts with broken rows, each once, in the order they were found."""
        return list(dict.fromkeys(slide.tiktok_id for slide in self.broken))

    @property
    def left(self) -> int:
        """Number of posts and objects that are still wrong."""
        repaired = sum(post.result == "repaired" for post in self.posts)
        objects = sum(each.name not in self.settled for each in self.orphaned)
        return len(self.broken_posts) - repaired + objects + len(self.foreign)

    @property
    def ok(self) -> bool:
        return not self.left and not self.errors


class Pages:
    """Fetches the pages of posts, and remembers which posts are permanently gone."""

    def __init__(self, fetch: FetchPost) -> None:
        self.gone: set[str] = set()
        self._fetch = fetch

    async def fetch(self, tiktok_id: str) -> Post:
        try:
            return await self._fetch(tiktok_id)
        except PostUnavailableError:
            self.gone.add(tiktok_id)
            raise


async def find_rows(records: SlideRecords, report: RepairReport) -> None:
    """Finds rows without an object, or with one of another size."""
    async for page in records.broken():
        report.slides_examined += page.examined
        report.broken += page.slides


async def find_objects(
    records: SlideRecords, report: RepairReport, *, older_than_hours: int
) -> None:
    """Finds objects without a row: the pipeline's own, and foreign ones."""
    async for page in records.orphaned(older_than_hours=older_than_hours):
        report.objects_examined += page.examined
        for each in page.objects:
            (report.orphaned if is_slide_path(each.name) else report.foreign).append(each)


async def repair_rows(
    records: SlideRecords,
    mover: SlideMover,
    pages: Pages,
    report: RepairReport,
    *,
    concurrency: int,
    advance: Callable[[], object],
) -> None:
    """Stores the slides of broken rows again. Calls `advance` after each post.

    Arguments:
        pages: the same that `mover` uses.

    Raises:
        ConfigurationError, ServiceUnavailableError: other posts would fail too.
    """

    async def work(tiktok_id: str) -> None:
        report.posts.append(await _repair_post(tiktok_id, records, mover, pages))
        advance()

    await for_each(report.broken_posts, work, concurrency=concurrency)


async def remove_objects(
    records: SlideRecords,
    remover: SlideRemover,
    report: RepairReport,
    *,
    older_than_hours: int,
    force: bool,
    advance: Callable[[int], object],
) -> None:
    """Removes orphaned objects. Calls `advance` with the number of objects done.

    Arguments:
        force: remove them even if they are more than MANY and most of the bucket.

    Raises:
        ConfigurationError, ServiceUnavailableError: Storage or the database failed.
    """
    if not force and are_most(len(report.orphaned), report.objects_examined):
        report.errors.append(
            f"{len(report.orphaned)} of {report.objects_examined} objects have no row. Rows were "
            "probably lost, so nothing was removed. Restore the rows from a backup, or use --force."
        )
        return
    for batch in _batches(report.orphaned, REMOVED_AT_ONCE):
        # A run may have written rows for some of them since they were found.
        names = await _still_orphaned(records, [each.name for each in batch], older_than_hours)
        left: set[str] = set()
        if names:
            await remover.remove(sorted(names))
            left = await _still_orphaned(records, sorted(names), older_than_hours)
        report.removed += sorted(names - left)
        report.settled |= {each.name for each in batch} - left
        advance(len(batch))


def are_most(orphaned: int, objects: int) -> bool:
    """Whether so many objects are orphaned that rows were probably lost."""
    return orphaned > MANY and orphaned > objects / 2


async def _still_orphaned(
    records: SlideRecords, names: Sequence[str], older_than_hours: int
) -> set[str]:
    found = await records.still_orphaned(names, older_than_hours=older_than_hours)
    return {each.name for each in found if is_slide_path(each.name)}


async def _repair_post(
    tiktok_id: str, records: SlideRecords, mover: SlideMover, pages: Pages
) -> PostRepair:
    if not is_tiktok_id(tiktok_id):
        return PostRepair(tiktok_id, "left", reasons=("Its tiktok_id is not a post id.",))
    try:
        rows = await records.post_slides(tiktok_id)
        if not rows.broken:  # repaired meanwhile
            return PostRepair(tiktok_id, "repaired")
        return await _restore(tiktok_id, rows, records, mover, pages)
    except ValidationError as error:
        problems = ", ".join(f"{part['loc']}: {part['msg']}" for part in error.errors()[:3])
        return PostRepair(tiktok_id, "left", reasons=(f"Its rows can't be read: {problems}",))
    except DataRejectedError as error:
        return PostRepair(tiktok_id, "left", reasons=(str(error),))


async def _restore(
    tiktok_id: str, rows: PostSlides, records: SlideRecords, mover: SlideMover, pages: Pages
) -> PostRepair:
    sound = [slide for slide in rows.slides if slide.slide_number not in rows.broken]
    moved = await mover.move(post_from_rows(tiktok_id, rows), sound)
    failures = {failure.number: failure.message for failure in moved.failures}
    page = moved.refreshed_post
    if page is not None and page.slides:
        if any(slide.number not in failures for slide in slides_wanted(page, moved.slides)):
            # TikTok shows other slides now: the rows follow, as they do after a scrape.
            moved = await mover.move(page, moved.slides)
            failures |= {failure.number: failure.message for failure in moved.failures}
        shown = {slide.number for slide in page.slides}
        failures = {number: text for number, text in failures.items() if number in shown}
    restored = slides_to_write(rows, moved)
    count = len(page.slides) if page and page.slides and not failures else None
    written = await records.write_slides(tiktok_id, restored, slide_count=count)

    numbers = tuple(slide.slide_number for slide in restored)
    if not written.broken:
        gone = f"TikTok shows {count} slides now: {written.removed} rows were removed."
        return PostRepair(tiktok_id, "repaired", numbers, (gone,) if written.removed else ())
    reasons = tuple(
        failures.get(number, f"Slide {number}: its row was changed meanwhile.")
        for number in sorted(written.broken)
    )
    result: Literal["lost", "left"] = "lost" if tiktok_id in pages.gone else "left"
    return PostRepair(tiktok_id, result, numbers, tuple(dict.fromkeys(reasons)))


def post_from_rows(tiktok_id: str, rows: PostSlides) -> Post:
    """The post according to its rows: images by key, which the slide cache may have.

    Without URLs, because those in the rows are old: the page is fetched for slides that the cache
    does not have.
    """
    known_since = min(slide.downloaded_at for slide in rows.slides)
    return Post(
        tiktok_id=tiktok_id,
        post_url=rows.post_url or "",
        posted_at=known_since,
        scraped_at=known_since,
        slides=tuple(
            SlideSource(number=slide.slide_number, mirrors=(), image_key=slide.image_key)
            for slide in rows.slides
        ),
    )


def slides_to_write(rows: PostSlides, moved: MoveResult) -> list[RestoredSlide]:
    """The slides that were just stored, each with the path in its old row."""
    before: dict[int, StoredSlide] = {slide.slide_number: slide for slide in rows.slides}
    restored = []
    for slide in moved.slides:
        row = before.get(slide.slide_number)
        if slide == row:
            continue
        values = slide.model_dump()
        if not slide.slide_url and row is not None:  # from the cache: keep the URL it came from
            values["slide_url"] = row.slide_url
        restored.append(RestoredSlide(**values, replaces=row.storage_path if row else None))
    return restored


def _batches(objects: Iterable[BucketObject], size: int) -> Iterator[list[BucketObject]]:
    rest = iter(objects)
    while batch := list(islice(rest, size)):
        yield batch
