"""What moving slides came to: the figures of Dagster's metadata and of `scraping_logs.metrics`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from statistics import fmean
from typing import Any


@dataclass
class MoveStats:
    """Counts of slides. Mergeable, so that a stage adds up its posts.

    `downloaded`: came over the network. `cached`: were in the cache from a run that was broken
    off. `uploaded`: new objects. `already_there`: were in the bucket, though not on record.
    `skipped`: on record, nothing was asked. `resumed`: downloads that went on from a part file.
    `bytes` came over the network; `seconds` holds the time of each download.
    """

    downloaded: int = 0
    cached: int = 0
    uploaded: int = 0
    already_there: int = 0
    skipped: int = 0
    resumed: int = 0
    failed: int = 0
    refreshed_posts: int = 0
    bytes: int = 0
    seconds: list[float] = field(default_factory=list)
    by_host: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)

    def merge(self, other: MoveStats) -> None:
        """Adds the figures of `other`."""
        self.downloaded += other.downloaded
        self.cached += other.cached
        self.uploaded += other.uploaded
        self.already_there += other.already_there
        self.skipped += other.skipped
        self.resumed += other.resumed
        self.failed += other.failed
        self.refreshed_posts += other.refreshed_posts
        self.bytes += other.bytes
        self.seconds += other.seconds
        self.by_host += other.by_host
        self.by_kind += other.by_kind

    @property
    def seconds_average(self) -> float:
        return fmean(self.seconds) if self.seconds else 0.0

    @property
    def seconds_p95(self) -> float:
        """The time that 95% of the downloads stayed within (nearest rank)."""
        if not self.seconds:
            return 0.0
        return sorted(self.seconds)[ceil(0.95 * len(self.seconds)) - 1]

    def as_metrics(self) -> dict[str, Any]:
        """As JSON: the names are read by `close_batch` and by dashboards."""
        return {
            "downloaded": self.downloaded,
            "cached": self.cached,
            "uploaded": self.uploaded,
            "already_there": self.already_there,
            "skipped": self.skipped,
            "resumed": self.resumed,
            "failed": self.failed,
            "refreshed_posts": self.refreshed_posts,
            "bytes": self.bytes,
            "seconds_average": round(self.seconds_average, 3),
            "seconds_p95": round(self.seconds_p95, 3),
            "by_host": dict(self.by_host),
            "by_kind": dict(self.by_kind),
        }
