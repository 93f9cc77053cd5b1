"""Looking at the posts that are due: fetch, parse, record."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dagster_tiktok.ledger import Ledger, ScrapeResult
from dagster_tiktok.models import Post, Unit
from dagster_tiktok.stages.claims import MAX_ATTEMPTS, Claims, Due, recording
from dagster_tiktok.tiktok.addresses import AddressError, PostRef, parse_address
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok.tiktok.failures import TRIED_AGAIN, PostError
from dagster_tiktok.tiktok.shared_calls import SharedCalls

CLAIM_CHUNK = 100

log = logging.getLogger(__name__)


@dataclass
class ScrapeReport:
    """Totals of the stage; `kinds` counts failures by kind, `seconds` is wall-clock time."""

    scraped: int = 0
    unavailable: int = 0
    retried: int = 0
    expired: int = 0
    left_to_others: int = 0
    requests: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    posts: list[Post] = field(default_factory=list)
    """The first few, for a preview."""

    def count(self, result: ScrapeResult) -> None:
        if result.result == "scraped":
            self.scraped += 1
            if result.post is not None and len(self.posts) < 10:
                self.posts.append(result.post)
            return
        if result.result == "unavailable":
            self.unavailable += 1
        else:
            self.retried += 1
        self.kinds[result.error_kind or "unknown"] += 1

    def as_line(self) -> str:
        return (
            f"{self.scraped} scraped, {self.unavailable} unavailable, "
            f"{self.retried} to try again, {self.expired} expired"
        )


async def scrape_due(
    ledger: Ledger, client: TikTokClient, due: Due, *, advance: Callable[[], None]
) -> ScrapeReport:
    """Looks at every due post, within the client's limits. `advance` is called once a unit.

    Raises:
        ServiceUnavailable: the database is down, or TikTok refuses us; what was read is recorded.
    """
    report = ScrapeReport()
    started = time.monotonic()
    claims = Claims(ledger, "pending", due, chunk=CLAIM_CHUNK)
    # Two rows that lead to one post share one fetch.
    looks = SharedCalls(client.fetch_post)

    async def write(results: list[ScrapeResult]) -> None:
        await ledger.record_scrapes(results, today=due.today())

    async with recording(write) as recorder:

        async def work(unit: Unit) -> None:
            result = await _look(unit, client, looks)
            await recorder.add(result)
            report.count(result)
            advance()

        try:
            await claims.each(work, concurrency=client.max_concurrency)
        finally:
            await looks.close()
            report.seconds = time.monotonic() - started
            report.expired = claims.expired
            report.left_to_others = claims.left_to_others
            report.requests = client.requests_made
            log.info("scraped_posts: %s in %.1f s", report.as_line(), report.seconds)
    return report


async def _look(unit: Unit, client: TikTokClient, looks: SharedCalls[Post]) -> ScrapeResult:
    try:
        ref = PostRef(tiktok_id=unit.tiktok_id) if unit.tiktok_id else _reference(unit)
    except AddressError as error:
        # The row was read by a version that understood more than this one.
        return ScrapeResult(
            unit_id=unit.id, result="unavailable", error_kind="invalid_row", error=str(error)
        )
    try:
        ref = await client.resolve(ref)
        post = await looks.get(ref.tiktok_id or "")
    except PostError as error:
        name = f"post {ref.tiktok_id}" if ref.tiktok_id else f"short link of look {unit.id}"
        log.info("%s: %s (%s)", name, error, error.kind.value)
        return _failed(unit, ref, error)
    return ScrapeResult(unit_id=unit.id, result="scraped", tiktok_id=post.tiktok_id, post=post)


def _reference(unit: Unit) -> PostRef:
    if unit.details is None:
        raise ValueError(f"look {unit.id} has neither an id nor a row")
    return parse_address(unit.details.va_url)


def _failed(unit: Unit, ref: PostRef, error: PostError) -> ScrapeResult:
    given_up = error.about_post and unit.attempts + 1 >= MAX_ATTEMPTS
    sentence = error.sentence
    if given_up and not error.failure.permanent:
        sentence = (
            f"{sentence.removesuffix(TRIED_AGAIN)}, in {MAX_ATTEMPTS} runs: "
            "set the row to ready to have it tried again"
        )
    return ScrapeResult(
        unit_id=unit.id,
        result="unavailable" if error.failure.permanent or given_up else "retry",
        tiktok_id=ref.tiktok_id,
        error_kind=error.kind.value,
        error=sentence,
        counted=error.about_post,
    )
