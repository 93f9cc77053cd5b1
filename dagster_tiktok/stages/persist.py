"""Writes posts, slides and snapshots, one transaction per chunk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from dagster_tiktok.database.ledger import FailedUnit, Ledger
from dagster_tiktok.stages.claims import Claims, ClaimScope
from dagster_tiktok.stages.timing import timed

CLAIM_CHUNK = 250

log = logging.getLogger(__name__)


@dataclass
class PersistReport:
    """Totals of the stage; `failed` lists the units that the database rejected."""

    persisted: int = 0
    posts_written: int = 0
    slides_written: int = 0
    left_to_others: int = 0
    seconds: float = 0.0
    failed: list[FailedUnit] = field(default_factory=list)


async def persist_due(
    ledger: Ledger,
    scope: ClaimScope,
    *,
    advance: Callable[[int], None],
    report: PersistReport | None = None,
) -> PersistReport:
    """Writes every unit whose slides are stored. Calls `advance` with the number of units done.

    Arguments:
        report: filled in while the stage works, for whoever needs it however the stage ends.
    """
    report = report or PersistReport()
    claims = Claims(ledger, "stored", scope.without_limit(), chunk=CLAIM_CHUNK)
    try:
        with timed(report):
            async for chunk in claims.chunks():
                waiting = [unit.id for unit in chunk]
                while waiting:
                    written = await ledger.persist(waiting)
                    report.persisted += written.persisted
                    report.posts_written += written.posts_written
                    report.slides_written += written.slides_written
                    report.failed.extend(written.failed)
                    advance(len(waiting) - len(written.not_tried))
                    waiting = list(written.not_tried)
    finally:
        report.left_to_others = claims.left_to_others
        log.info(
            "tiktok_posts: %d posts and %d slides written, %d rejected in %.1f s",
            report.posts_written,
            report.slides_written,
            len(report.failed),
            report.seconds,
        )
    return report
