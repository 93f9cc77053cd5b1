"""The models that stages pass on: what the sheet asked for, what a page showed, what was stored.

Times are aware datetimes in UTC, dates are calendar dates in the pipeline's time zone, sizes are
bytes or pixels. A count that the page did not show, or showed as a negative number (TikTok's
counters overflow 32 bits), is None: missing, never zero.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Slot = int
UnitState = Literal["pending", "scraped", "stored", "persisted", "done"]
Outcome = Literal["scraped", "unavailable", "expired"]
DataQuality = Literal["complete", "no_account", "partial"]


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RowDetails(FrozenModel):
    """What a VA typed into the row, parsed. Stored with the row's unit."""

    va_url: str
    va: str | None = None
    creator: str | None = None
    set_id: int | None = None
    post_type: Literal["NEW", "REPOST"] | None = None
    created_date: date | None = None
    copies: int = 1
    """How many ready rows held this same URL when the sheet was read."""


class RowRequest(FrozenModel):
    """A ready row, as it enters the ledger.

    `source_key` finds the row again: it is derived from the cells, never from the row number. A row
    with `problems` can't be scraped; they are written back instead.
    """

    source_key: str
    row_number: int
    details: RowDetails
    tiktok_id: str | None = None
    problems: tuple[str, ...] = ()


class Metrics(FrozenModel):
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None
    bookmarks: int | None = None


class SlideSource(FrozenModel):
    """One slide as the page shows it. `mirrors` are signed URLs of the same image."""

    number: int = Field(ge=1)
    mirrors: tuple[str, ...]
    width: int | None = None
    height: int | None = None
    image_key: str | None = None
    """The 32 hex characters of the path that name the image: the same key is the same image."""
    expires_at: datetime | None = None


class Post(FrozenModel):
    """Everything that was read from a post's page."""

    tiktok_id: str
    post_url: str
    account: str | None = None
    account_verified: bool | None = None
    followers: int | None = None
    posted_at: datetime
    description: str = ""
    hashtags: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    sound: str | None = None
    sound_url: str | None = None
    metrics: Metrics = Metrics()
    slides: tuple[SlideSource, ...] = ()
    scraped_at: datetime
    scraping_method: str = "page"
    data_quality: DataQuality = "complete"


class StoredSlide(FrozenModel):
    """A slide in the bucket, with the columns of `tiktok_slides`."""

    slide_number: int = Field(ge=1)
    slide_url: str
    storage_path: str
    public_url: str
    file_size: int
    width: int
    height: int
    mime_type: str
    content_hash: str
    image_key: str | None = None
    downloaded_at: datetime
    uploaded_at: datetime


class Unit(FrozenModel):
    """One scrape of a post: a row of the ledger `scrape_units`, as a stage claims it."""

    id: int
    source: str | None = None
    """The sheet that asked for it (`SheetUrl.source`); None for a daily scrape."""
    source_key: str
    slot: Slot = Field(ge=0, le=5)
    due_date: date
    state: UnitState
    outcome: Outcome | None = None
    attempts: int = 0
    is_last_try: bool = False
    """Whether one more counted failure ends the unit."""
    error_kind: str | None = None
    error: str | None = None
    unanswered_since: datetime | None = None
    """Since when its outcome could not be written back; None: no write has failed."""
    tiktok_id: str | None = None
    is_photo: bool = False
    """Whether the post is known to be a carousel, or the URL behind its short link says so."""
    details: RowDetails | None = None
    post: Post | None = None
    slides: tuple[StoredSlide, ...] = ()
    """Slides of this unit that are already stored."""
    known_slides: tuple[StoredSlide, ...] = ()
    """Slides of the post that earlier units stored."""


class UnitError(FrozenModel):
    """A unit that did not succeed, as reports list it."""

    unit_id: int
    source: str | None = None
    source_key: str
    slot: Slot
    state: UnitState
    outcome: Outcome | None = None
    error_kind: str | None = None
    error: str | None = None
    unanswered_since: datetime | None = None
    """Since when its outcome could not be written back; `error` says why."""
    next_try_at: datetime | None = None
    """When the next attempt of an unfinished unit may start; None: at once."""


class RepeatedRow(FrozenModel):
    """A row whose post was already named by an earlier row, which gives the post its VA, creator
    and set. `source` and `first_source` are `SheetUrl.source`."""

    source: str
    source_key: str
    first_source: str
    first_key: str


class WaitingElsewhere(FrozenModel):
    """Rows that wait for a sheet that GOOGLE_SHEET_URL does not name. `source` is
    `SheetUrl.source`."""

    source: str
    units: int
    since: datetime

    def __str__(self) -> str:
        rows = "1 row waits" if self.units == 1 else f"{self.units:,} rows wait"
        return (
            f"{rows} for the sheet {self.source} since {self.since:%Y-%m-%d}, which "
            "GOOGLE_SHEET_URL does not name: add its URL again to have them scraped and written "
            "back, or remove them (docs/troubleshoot.md); if another deployment reads that sheet, "
            "ignore this"
        )


class BatchSummary(FrozenModel):
    """What `close_batch` returns: the totals of `scraping_logs` and what is left."""

    batch_id: UUID
    partition_date: date
    status: Literal["completed", "partial", "failed"]
    duration_seconds: float
    urls_processed: int
    succeeded: int
    unavailable: int
    expired: int
    unfinished: int
    waiting: int = 0
    """How many of the unfinished have their next attempt later."""
    slides_downloaded: int
    slides_uploaded: int
    bytes_downloaded: int
    errors: tuple[UnitError, ...] = ()
    sheets_failed: dict[str, str] = Field(default_factory=dict)
    """Sheets that could not be read or written, by name, and why."""
    repeated: tuple[RepeatedRow, ...] = ()
    elsewhere: tuple[WaitingElsewhere, ...] = ()

    @property
    def only_waits(self) -> bool:
        """Whether every unfinished unit waits for its next attempt: no one has to act."""
        return self.unfinished == self.waiting > 0 and not self.sheets_failed

    @property
    def success_rate(self) -> float:
        """The share that succeeded, 0 to 1; 1 when nothing was processed."""
        return self.succeeded / self.urls_processed if self.urls_processed else 1.0


RUN_METRICS = (
    "duration_seconds",
    "urls_processed",
    "succeeded",
    "unavailable",
    "unfinished",
    "success_rate",
    "slides_downloaded",
    "slides_uploaded",
    "bytes_downloaded",
)
"""The fields of `BatchSummary` in the object that `dagster-tiktok run --json` prints last."""
