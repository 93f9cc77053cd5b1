"""Moving the slides of scraped posts from the CDN to the bucket."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dagster_tiktok.ledger import Ledger, SlidesResult
from dagster_tiktok.models import Unit
from dagster_tiktok.slides.failures import KINDS
from dagster_tiktok.slides.mover import MoveStats, SlideMover
from dagster_tiktok.stages.claims import MAX_ATTEMPTS, Claims, Due, recording

CLAIM_CHUNK = 50

log = logging.getLogger(__name__)


@dataclass
class StoreReport:
    """Totals of the stage. `seconds` is wall-clock time."""

    stored: int = 0
    incomplete: int = 0
    left_to_others: int = 0
    seconds: float = 0.0
    stats: MoveStats = field(default_factory=MoveStats)
    previews: list[str] = field(default_factory=list)
    """Public addresses of the first few slides."""


async def store_due(
    ledger: Ledger,
    mover: SlideMover,
    due: Due,
    *,
    concurrency: int,
    advance: Callable[[], None],
) -> StoreReport:
    """Stores the slides of every scraped post. `advance` is called once a post.

    Raises:
        ServiceUnavailable: the database or the storage is down; what was stored is recorded.
    """
    report = StoreReport()
    started = time.monotonic()
    claims = Claims(ledger, "scraped", due.without_limit(), chunk=CLAIM_CHUNK)

    async with recording(ledger.record_slides) as recorder:

        async def work(unit: Unit) -> None:
            result = await _move(unit, mover, report)
            await recorder.add(result)
            if result.result == "stored":
                report.stored += 1
            else:
                report.incomplete += 1
            advance()

        try:
            await claims.each(work, concurrency=concurrency)
        finally:
            report.seconds = time.monotonic() - started
            report.left_to_others = claims.left_to_others
            log.info(
                "slide_files: %d posts stored, %d incomplete; %d slides downloaded, "
                "%d uploaded, %d there already in %.1f s",
                report.stored,
                report.incomplete,
                report.stats.downloaded,
                report.stats.uploaded,
                report.stats.skipped,
                report.seconds,
            )
    return report


async def _move(unit: Unit, mover: SlideMover, report: StoreReport) -> SlidesResult:
    if unit.post is None:
        raise ValueError(f"look {unit.id} is scraped but has no post")
    moved = await mover.move(unit.post, [*unit.known_slides, *unit.slides])
    report.stats.merge(moved.stats)
    for slide in moved.slides[:1]:
        if len(report.previews) < 6:
            report.previews.append(slide.public_url)
    post, sentence = moved.refreshed_post, "; ".join(f.sentence for f in moved.failures)
    lasting = all(not KINDS[failure.kind].transient for failure in moved.failures)
    given_up = bool(moved.failures) and lasting and unit.attempts + 1 >= MAX_ATTEMPTS
    if given_up:
        # The post is worth more than the slide that will never come: what there is, is kept,
        # and said to be not all.
        log.warning("post %s stays without slides: %s", unit.post.tiktok_id, sentence)
        post = (post or unit.post).model_copy(update={"data_quality": "partial"})
    return SlidesResult(
        unit_id=unit.id,
        result="retry" if moved.failures and not given_up else "stored",
        slides=tuple(moved.slides),
        post=post,
        error_kind=moved.failures[0].kind if moved.failures else None,
        error=sentence or None,
        counted=lasting,
    )
