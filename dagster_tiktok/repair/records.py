"""What the database knows of the bucket: rows of slides, objects, and where they disagree.

A typed client of the repair functions (`sql/migrations/015_create_repair_functions.sql`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from dagster_tiktok.database.functions import Database
from dagster_tiktok.models import FrozenModel, StoredSlide

PAGE = 5000
"""Rows or objects a call: about a tenth of a second of the database's time."""


class BrokenSlide(FrozenModel):
    """A row whose object is missing or differs. Sizes are bytes; None: no object, or unknown."""

    tiktok_id: str
    slide_number: int
    storage_path: str
    problem: Literal["no_object", "other_size"]
    file_size: int
    object_size: int | None = None


class BucketObject(FrozenModel):
    """An object in the bucket. Uploaded objects may have any name."""

    name: str
    size: int | None = None
    stored_at: datetime


class PostSlides(BaseModel):
    """The rows of a post; `broken` are the numbers of those without an intact object."""

    post_url: str | None
    slides: tuple[StoredSlide, ...]
    broken: frozenset[int]


class RestoredSlide(StoredSlide):
    """A slide that is in the bucket again. `replaces`: the path in its old row, if any."""

    replaces: str | None


class SlidesRepaired(BaseModel):
    """`broken` are the numbers of the post's slides that still have no intact object."""

    written: int
    removed: int
    broken: frozenset[int]


class BrokenSlidesPage(BaseModel):
    examined: int
    after: int | None
    slides: tuple[BrokenSlide, ...]


class OrphanedObjectsPage(BaseModel):
    examined: int
    after: str | None
    objects: tuple[BucketObject, ...]


class SlideRecords:
    """The slide rows and objects of one bucket.

    Raises (every method): as `Database.call`.
    """

    def __init__(self, database: Database, bucket: str, *, page: int = PAGE) -> None:
        self._database = database
        self._bucket = bucket
        self._page = page

    async def broken(self) -> AsyncIterator[BrokenSlidesPage]:
        """Checks all rows, the oldest first."""
        after: int | None = 0
        while after is not None:
            response = await self._database.call(
                "find_broken_slides", bucket=self._bucket, after=after, limit=self._page
            )
            page = BrokenSlidesPage.model_validate(response)
            yield page
            after = page.after

    async def orphaned(self, *, older_than_hours: int) -> AsyncIterator[OrphanedObjectsPage]:
        """Checks all objects that are at least this old, by name."""
        after: str | None = ""
        while after is not None:
            response = await self._database.call(
                "find_orphaned_objects",
                bucket=self._bucket,
                older_than_hours=older_than_hours,
                after=after,
                limit=self._page,
            )
            page = OrphanedObjectsPage.model_validate(response)
            yield page
            after = page.after

    async def still_orphaned(
        self, names: Sequence[str], *, older_than_hours: int
    ) -> tuple[BucketObject, ...]:
        """Which of these objects exist and have no row now."""
        response = await self._database.call(
            "find_orphaned_objects",
            bucket=self._bucket,
            older_than_hours=older_than_hours,
            names=list(names),
        )
        return OrphanedObjectsPage.model_validate(response).objects

    async def post_slides(self, tiktok_id: str) -> PostSlides:
        response = await self._database.call(
            "slides_to_repair", bucket=self._bucket, tiktok_id=tiktok_id
        )
        return PostSlides.model_validate(response)

    async def write_slides(
        self, tiktok_id: str, slides: Sequence[RestoredSlide], *, slide_count: int | None
    ) -> SlidesRepaired:
        """Writes the slides of a post in one transaction.

        Arguments:
            slide_count: how many TikTok shows now, if that is known; rows beyond it are removed.
        """
        response = await self._database.call(
            "repair_slides",
            bucket=self._bucket,
            tiktok_id=tiktok_id,
            slides=list(slides),
            slide_count=slide_count,
        )
        return SlidesRepaired.model_validate(response)
