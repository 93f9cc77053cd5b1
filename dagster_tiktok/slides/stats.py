"""The metrics of moving slides, for Dagster's metadata and `scraping_logs.metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import fmean
from typing import Any

from dagster_tiktok.slides.failures import FailureKind
from dagster_tiktok.text import printable

MAX_HOSTS = 50
OTHER_HOSTS = "other"
"""All hosts after the first MAX_HOSTS: hostile pages can name any number of them."""
_SHOWN_CHARACTERS = 100


@dataclass
class HostStats:
    """The metrics of one CDN host.

    `bytes` includes failed requests. `seconds` has the duration of each download. `failures`
    counts requests that did not deliver the slide; another host, or a retry, may have delivered it.
    """

    downloaded: int = 0
    bytes: int = 0
    seconds: list[float] = field(default_factory=list)
    failures: Counter[FailureKind] = field(default_factory=Counter)

    def merge(self, other: HostStats) -> None:
        self.downloaded += other.downloaded
        self.bytes += other.bytes
        self.seconds += other.seconds
        self.failures += other.failures

    def as_metrics(self) -> dict[str, Any]:
        return {
            "downloaded": self.downloaded,
            "bytes": self.bytes,
            "seconds_average": average(self.seconds),
            "seconds_p95": p95(self.seconds),
            "failed_requests": self.failures.total(),
            "failures": dict(self.failures),
        }


@dataclass
class MoveStats:
    """Counts of slides. Mergeable, so that a stage adds up its posts.

    Two scrapes of one post in one run count its slides twice, though they are moved once.

    `downloaded`: came over the network. `cached`: were in the cache from an interrupted run.
    `uploaded`: new objects. `already_there`: in the bucket, but without a row. `skipped`: stored by
    an earlier run, not requested. `resumed`: downloads that continued a part file. `failed`: did
    not reach the bucket; `by_kind` says why.
    """

    downloaded: int = 0
    cached: int = 0
    uploaded: int = 0
    already_there: int = 0
    skipped: int = 0
    resumed: int = 0
    failed: int = 0
    refreshed_posts: int = 0
    by_kind: Counter[FailureKind] = field(default_factory=Counter)
    hosts: dict[str, HostStats] = field(default_factory=dict)

    def merge(self, other: MoveStats) -> None:
        """Adds the metrics of `other`."""
        self.downloaded += other.downloaded
        self.cached += other.cached
        self.uploaded += other.uploaded
        self.already_there += other.already_there
        self.skipped += other.skipped
        self.resumed += other.resumed
        self.failed += other.failed
        self.refreshed_posts += other.refreshed_posts
        self.by_kind += other.by_kind
        for name, host in other.hosts.items():
            self._host(name).merge(host)

    def count_download(self, host: str, *, size: int, seconds: float) -> None:
        """Counts a slide from `host`; `size` bytes came over the network."""
        self.downloaded += 1
        stats = self._host(host)
        stats.downloaded += 1
        stats.bytes += size
        stats.seconds.append(seconds)

    def count_failed_request(self, host: str, kind: FailureKind, *, size: int) -> None:
        """Counts a request to `host` that failed after `size` bytes."""
        stats = self._host(host)
        stats.bytes += size
        stats.failures[kind] += 1

    def _host(self, name: str) -> HostStats:
        name = printable(name[:_SHOWN_CHARACTERS])
        if name not in self.hosts and len(self.hosts) >= MAX_HOSTS:
            name = OTHER_HOSTS
        return self.hosts.setdefault(name, HostStats())

    @property
    def successful(self) -> int:
        """Slides that this stage uploaded or found in the bucket."""
        return self.uploaded + self.already_there

    @property
    def slides(self) -> int:
        """All slides of the posts that are finished, with or without success."""
        return self.successful + self.skipped + self.failed

    @property
    def bytes(self) -> int:
        """Bytes over the network, failed requests included."""
        return sum(host.bytes for host in self.hosts.values())

    @property
    def failed_requests(self) -> int:
        return sum(host.failures.total() for host in self.hosts.values())

    @property
    def seconds(self) -> list[float]:
        """The time of each download."""
        return [seconds for host in self.hosts.values() for seconds in host.seconds]

    def as_metrics(self) -> dict[str, Any]:
        """As JSON. `close_batch` and dashboards read these names."""
        seconds = self.seconds
        return {
            "slides": self.slides,
            "successful": self.successful,
            "failed": self.failed,
            "skipped": self.skipped,
            "downloaded": self.downloaded,
            "resumed": self.resumed,
            "cached": self.cached,
            "uploaded": self.uploaded,
            "already_there": self.already_there,
            "refreshed_posts": self.refreshed_posts,
            "failed_requests": self.failed_requests,
            "bytes": self.bytes,
            "seconds_average": average(seconds),
            "seconds_p95": p95(seconds),
            "by_host": {name: host.downloaded for name, host in self.hosts.items()},
            "by_kind": dict(self.by_kind),
            "hosts": {name: host.as_metrics() for name, host in self.hosts.items()},
        }


def average(seconds: Sequence[float]) -> float:
    """The mean, rounded to milliseconds; 0 without values."""
    return round(fmean(seconds), 3) if seconds else 0.0


def p95(seconds: Sequence[float]) -> float:
    """The 95th percentile (nearest rank), rounded to milliseconds; 0 without values."""
    return round(sorted(seconds)[ceil(0.95 * len(seconds)) - 1], 3) if seconds else 0.0
