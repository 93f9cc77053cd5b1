"""Scrapes the posts that are due: fetch, parse, record."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dagster_tiktok.database.ledger import Ledger, ScrapeResult
from dagster_tiktok.models import Post
from dagster_tiktok.stages.claims import Claims, ClaimScope
from dagster_tiktok.stages.recorder import Recorder, record_while
from dagster_tiktok.stages.scrape_passes import ScrapePasses
from dagster_tiktok.stages.timing import timed
from dagster_tiktok.tiktok.client import TikTokClient, TikTokRejectionError

CLAIM_CHUNK = 100
PASS_PAUSE_SECONDS = 30.0

log = logging.getLogger(__name__)


@dataclass
class ScrapeReport:
    """Totals of the stage, each unit counted once; `seconds` is wall-clock time.

    `kinds` counts failures by kind, `methods` scraped posts by source. `scraped_later` counts those
    of `scraped` that needed a further pass or another source than the page.
    """

    scraped: int = 0
    scraped_later: int = 0
    unavailable: int = 0
    retried: int = 0
    expired: int = 0
    left_to_others: int = 0
    requests: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    posts: list[Post] = field(default_factory=list)
    """The first few posts, for a preview."""

    def count(self, result: ScrapeResult, *, at_first: bool) -> None:
        if result.post is not None:
            self.scraped += 1
            self.scraped_later += not at_first
            self.methods[result.post.scraping_method] += 1
            if len(self.posts) < 10:
                self.posts.append(result.post)
            return
        if result.result == "unavailable":
            self.unavailable += 1
        else:
            self.retried += 1
        self.kinds[result.error_kind or "unknown"] += 1

    def as_line(self) -> str:
        later = f" ({self.scraped_later} not in the first pass)" if self.scraped_later else ""
        return (
            f"{self.scraped} scraped{later}, {self.unavailable} unavailable, "
            f"{self.retried} to try again, {self.expired} expired"
        )


async def scrape_due(
    ledger: Ledger,
    client: TikTokClient,
    scope: ClaimScope,
    *,
    advance: Callable[[], None],
    report: ScrapeReport | None = None,
    pass_pause_seconds: float = PASS_PAUSE_SECONDS,
) -> ScrapeReport:
    """Scrapes every due post within the client's limits. Calls `advance` once per unit.

    Arguments:
        report: filled in while the stage works, for whoever needs it however the stage ends.
        pass_pause_seconds: the shortest time from a failure to the next attempt.

    Raises:
        ServiceUnavailableError: the database is down, or TikTok rejects us. Results are kept.
    """
    report = report or ScrapeReport()
    claims = Claims(ledger, "pending", scope, chunk=CLAIM_CHUNK)

    async def write(results: list[ScrapeResult]) -> None:
        await ledger.record_scrapes(results)

    async def scrape(recorder: Recorder[ScrapeResult]) -> None:
        async def settle(result: ScrapeResult, at_first: bool) -> None:
            await recorder.add(result)
            report.count(result, at_first=at_first)
            advance()

        passes = ScrapePasses(client, settle)
        try:
            try:
                await claims.each(passes.first, concurrency=client.max_concurrency)
            except TikTokRejectionError:
                # Units that were tried get their result; the others stay as they were.
                await passes.end()
                raise
            await passes.again(pass_pause_seconds)
            await passes.elsewhere()
            await passes.end()
        finally:
            await passes.close()

    try:
        with timed(report):
            await record_while(write, scrape)
    finally:
        report.expired = claims.expired
        report.left_to_others = claims.left_to_others
        report.requests = client.requests_made
        log.info("scraped_posts: %s in %.1f s", report.as_line(), report.seconds)
    return report
