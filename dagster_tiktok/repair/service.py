"""Mending what rows of slides and objects in the bucket disagree about.

Every post is mended by itself: its slides are stored, then its rows are written in one
transaction. So this may be killed anywhere and run again, and beside the pipeline: a row that
somebody else has written meanwhile is left alone, and an object that somebody else has named
meanwhile is not removed.
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
    RestoredSlide,
    SlideRecords,
    SlidesOfPost,
)
from dagster_tiktok.repair.removal import REMOVED_AT_ONCE, SlideRemover
from dagster_tiktok.slides.mover import FetchPost, MoveResult, SlideMover, slides_wanted
from dagster_tiktok.slides.paths import is_slide_path
from dagster_tiktok.tasks import for_each
from dagster_tiktok.tiktok.failures import PostUnavailableError
from dagster_tiktok.tiktok.links.post_links import is_tiktok_id

MANY = 100
"""Objects without a row that are too many to remove unasked, if they are most of the bucket."""


@dataclass(frozen=True)
class PostRepair:
    """What became of a post whose rows were broken.

    `lost`: TikTok does not show it any more. `left`: it may be mended another time. Its rows are
    as they were then, but for those in `slides`: the numbers that lie in the bucket again.
    """

    tiktok_id: str
    result: Literal["mended", "lost", "left"]
    slides: tuple[int, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass
class RepairReport:
    """What was found, and what became of it.

    `settled` are names of `unnamed` that are gone, or have a row now; `removed` are those of them
    that were removed here. `errors` are the sentences of what ended a part early.
    """

    slides_examined: int = 0
    objects_examined: int = 0
    broken: list[BrokenSlide] = field(default_factory=list)
    unnamed: list[BucketObject] = field(default_factory=list)
    foreign: list[BucketObject] = field(default_factory=list)
    posts: list[PostRepair] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    @property
    def broken_posts(self) -> list[str]:
        """Their ids, each once, in the order in which they were found."""
        return list(dict.fromkeys(slide.tiktok_id for slide in self.broken))

    @property
    def left(self) -> int:
        """Posts and objects that are as wrong as they were."""
        mended = sum(post.result == "mended" for post in self.posts)
        objects = sum(found.name not in self.settled for found in self.unnamed)
        return len(self.broken_posts) - mended + objects + len(self.foreign)

    @property
    def ok(self) -> bool:
        return not self.left and not self.errors


class Pages:
    """Fetches the pages of posts, and remembers which posts are gone for good."""

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
    """Rows that have no object, or one of another size."""
    async for page in records.broken():
        report.slides_examined += page.examined
        report.broken += page.slides


async def find_objects(
    records: SlideRecords, report: RepairReport, *, older_than_hours: int
) -> None:
    """Objects without a row: those of the pipeline, and others."""
    async for page in records.unnamed(older_than_hours=older_than_hours):
        report.objects_examined += page.examined
        for found in page.objects:
            (report.unnamed if is_slide_path(found.name) else report.foreign).append(found)


async def correct_rows(
    records: SlideRecords,
    mover: SlideMover,
    pages: Pages,
    report: RepairReport,
    *,
    concurrency: int,
    advance: Callable[[], object],
) -> None:
    """Stores the slides of broken rows again. `advance` is called once a post.

    Arguments:
        pages: where `mover` fetches pages.

    Raises:
        ConfigurationError, ServiceUnavailableError: going on with other posts is pointless.
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
    even_most: bool,
    advance: Callable[[int], object],
) -> None:
    """Removes the objects without a row. `advance` is called with objects done.

    Arguments:
        even_most: also where they are more than MANY and most of the bucket.

    Raises:
        ConfigurationError, ServiceUnavailableError: the storage or the database does not do it.
    """
    if not even_most and are_most(len(report.unnamed), report.objects_examined):
        report.errors.append(
            f"{len(report.unnamed)} of {report.objects_examined} objects have no row: that looks "
            "like lost rows, so nothing was removed. Restore the rows from a backup, or say "
            "--force."
        )
        return
    for batch in _batches(report.unnamed, REMOVED_AT_ONCE):
        # A run may have named some of them since they were found.
        names = await _still_orphaned(records, [found.name for found in batch], older_than_hours)
        left: set[str] = set()
        if names:
            await remover.remove(sorted(names))
            left = await _still_orphaned(records, sorted(names), older_than_hours)
        report.removed += sorted(names - left)
        report.settled |= {found.name for found in batch} - left
        advance(len(batch))


def are_most(unnamed: int, objects: int) -> bool:
    """Whether so many of the bucket's objects have no row that rows must have been lost."""
    return unnamed > MANY and unnamed > objects / 2


async def _still_orphaned(
    records: SlideRecords, names: Sequence[str], older_than_hours: int
) -> set[str]:
    found = await records.still_orphaned(names, older_than_hours=older_than_hours)
    return {each.name for each in found if is_slide_path(each.name)}


async def _repair_post(
    tiktok_id: str, records: SlideRecords, mover: SlideMover, pages: Pages
) -> PostRepair:
    if not is_tiktok_id(tiktok_id):
        return PostRepair(tiktok_id, "left", reasons=("Its tiktok_id is not the id of a post.",))
    try:
        rows = await records.of_post(tiktok_id)
        if not rows.broken:  # somebody has mended it meanwhile
            return PostRepair(tiktok_id, "mended")
        return await _restore(tiktok_id, rows, records, mover, pages)
    except ValidationError as error:
        problems = ", ".join(f"{part['loc']}: {part['msg']}" for part in error.errors()[:3])
        return PostRepair(tiktok_id, "left", reasons=(f"Its rows can't be read: {problems}",))
    except DataRejectedError as error:
        return PostRepair(tiktok_id, "left", reasons=(str(error),))


async def _restore(
    tiktok_id: str, rows: SlidesOfPost, records: SlideRecords, mover: SlideMover, pages: Pages
) -> PostRepair:
    sound = [slide for slide in rows.slides if slide.slide_number not in rows.broken]
    moved = await mover.move(post_on_record(tiktok_id, rows), sound)
    failures = {failure.number: failure.message for failure in moved.failures}
    page = moved.refreshed_post
    if page is not None and page.slides:
        if any(slide.number not in failures for slide in slides_wanted(page, moved.slides)):
            # TikTok shows another set by now: the rows follow it, as they do at a look.
            moved = await mover.move(page, moved.slides)
            failures |= {failure.number: failure.message for failure in moved.failures}
        shown = {slide.number for slide in page.slides}
        failures = {number: text for number, text in failures.items() if number in shown}
    restored = slides_to_write(rows, moved)
    count = len(page.slides) if page and page.slides and not failures else None
    written = await records.mend(tiktok_id, restored, slide_count=count)

    numbers = tuple(slide.slide_number for slide in restored)
    if not written.broken:
        gone = f"TikTok shows {count} slides now: {written.removed} rows were removed."
        return PostRepair(tiktok_id, "mended", numbers, (gone,) if written.removed else ())
    reasons = tuple(
        failures.get(number, f"Slide {number}: its row was changed meanwhile.")
        for number in sorted(written.broken)
    )
    result: Literal["lost", "left"] = "lost" if tiktok_id in pages.gone else "left"
    return PostRepair(tiktok_id, result, numbers, tuple(dict.fromkeys(reasons)))


def post_on_record(tiktok_id: str, rows: SlidesOfPost) -> Post:
    """The post as its rows know it: pictures by name, which the slide cache may hold.

    Without addresses, so that the page is asked for those that it does not hold: on record are
    only old ones.
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


def slides_to_write(rows: SlidesOfPost, moved: MoveResult) -> list[RestoredSlide]:
    """The slides that were stored just now, each with the path that its row had."""
    before: dict[int, StoredSlide] = {slide.slide_number: slide for slide in rows.slides}
    restored = []
    for slide in moved.slides:
        row = before.get(slide.slide_number)
        if slide == row:
            continue
        values = slide.model_dump()
        if not slide.slide_url and row is not None:  # from the cache: it is where it came from
            values["slide_url"] = row.slide_url
        restored.append(RestoredSlide(**values, replaces=row.storage_path if row else None))
    return restored


def _batches(objects: Iterable[BucketObject], size: int) -> Iterator[list[BucketObject]]:
    rest = iter(objects)
    while batch := list(islice(rest, size)):
        yield batch
