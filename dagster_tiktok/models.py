"""The records that cross stages: what the sheet asked for, what a page said, what was stored.

Times are aware datetimes in UTC, dates are calendar dates in the pipeline's time zone, sizes are
bytes or pixels. A count that the page did not give, or gave as a negative number (TikTok's
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
    """What a person typed into the row, understood. Travels with the row's unit."""

    va_url: str
    va: str | None = None
    creator: str | None = None
    set_id: int | None = None
    post_type: Literal["NEW", "REPOST"] | None = None
    created_date: date | None = None
    copies: int = 1
    """How many ready rows held this very address when the sheet was read."""


class RowRequest(FrozenModel):
    """A ready row, as it enters the ledger.

    `source_key` finds the row again: it is derived from the cells, never from the row number.
    `problems` not empty means that the row can't be scraped and is answered with them.
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
    """One slide as the page offers it. `mirrors` are addresses of the same picture, each signed."""

    number: int = Field(ge=1)
    mirrors: tuple[str, ...]
    width: int | None = None
    height: int | None = None
    image_key: str | None = None
    """The 32 hex characters of the path that name the picture: equal key, equal picture."""
    expires_at: datetime | None = None


class Post(FrozenModel):
    """Everything that a post's page said."""

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
    """A slide that lies in the bucket, as `tiktok_slides` records it."""

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
    """One look at a post: a row of the ledger `scrape_units`, as a stage claims it."""

    id: int
    source: str | None = None
    """The sheet that asked for it (`SheetUrl.source`); None for a daily look."""
    source_key: str
    slot: Slot = Field(ge=0, le=5)
    due_date: date
    state: UnitState
    outcome: Outcome | None = None
    attempts: int = 0
    is_last_try: bool = False
    """Whether one more failure that is its own ends it with that reason."""
    error_kind: str | None = None
    error: str | None = None
    unanswered_since: datetime | None = None
    """Since when its row waits although it could have been answered; None: it could be so far."""
    tiktok_id: str | None = None
    is_photo: bool = False
    """Whether the post is known to be a carousel, or the URL behind its short link says so."""
    details: RowDetails | None = None
    post: Post | None = None
    slides: tuple[StoredSlide, ...] = ()
    """Slides of this look that are stored already."""
    known_slides: tuple[StoredSlide, ...] = ()
    """Slides of the post that earlier looks stored."""


class UnitError(FrozenModel):
    """A unit that did not succeed: what a report lists."""

    unit_id: int
    source: str | None = None
    source_key: str
    slot: Slot
    state: UnitState
    outcome: Outcome | None = None
    error_kind: str | None = None
    error: str | None = None
    unanswered_since: datetime | None = None
    """Since when its row cannot be answered: `error` names what is in the way."""
    next_try_at: datetime | None = None
    """When an unfinished unit may be tried again; None: at once."""


class RepeatedRow(FrozenModel):
    """A row whose post stands in another row, which came first: that one's VA, creator and set
    count. `source` and `first_source` are `SheetUrl.source`."""

    source: str
    source_key: str
    first_source: str
    first_key: str


class WaitingElsewhere(FrozenModel):
    """Rows that wait for a sheet which GOOGLE_SHEET_URL does not name. `source` is that of
    `SheetUrl`."""

    source: str
    units: int
    since: datetime

    def __str__(self) -> str:
        rows = "1 row waits" if self.units == 1 else f"{self.units:,} rows wait"
        return (
            f"{rows} for the sheet {self.source} since {self.since:%Y-%m-%d}, which "
            "GOOGLE_SHEET_URL does not name: add its URL again to have them scraped and answered, "
            "or remove them (docs/troubleshoot.md); where another deployment reads that sheet, "
            "they are its own"
        )


class BatchSummary(FrozenModel):
    """What `close_batch` answers: the figures of `scraping_logs` and what is left."""

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
    """Of the unfinished: whose time for the next try has not come."""
    slides_downloaded: int
    slides_uploaded: int
    bytes_downloaded: int
    errors: tuple[UnitError, ...] = ()
    sheets_failed: dict[str, str] = Field(default_factory=dict)
    """Sheets that could not be read or answered, by name, and why."""
    repeated: tuple[RepeatedRow, ...] = ()
    elsewhere: tuple[WaitingElsewhere, ...] = ()

    @property
    def only_waits(self) -> bool:
        """Whether all that is unfinished waits for its next try: nobody has to do anything."""
        return self.unfinished == self.waiting > 0 and not self.sheets_failed

    @property
    def success_rate(self) -> float:
        """Succeeded of what was processed, 0 to 1; 1 when nothing was due."""
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
"""Of a `BatchSummary`, in the object that `dagster-tiktok run --json` prints last."""
