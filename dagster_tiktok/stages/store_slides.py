"""Moves the slides of scraped posts from the CDN to the bucket."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from dagster_tiktok.database.ledger import Ledger, SlidesResult
from dagster_tiktok.models import Unit
from dagster_tiktok.slides.breaker import REJECTIONS
from dagster_tiktok.slides.failures import KINDS
from dagster_tiktok.slides.mover import MoveResult, MoveStats, SlideMover
from dagster_tiktok.stages.claims import Claims, ClaimScope
from dagster_tiktok.stages.recorder import Recorder, record_while
from dagster_tiktok.stages.timing import timed

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
    rejection: str | None = None
    """Why slides were no longer requested, if the CDN rejected everything."""
    previews: list[str] = field(default_factory=list)
    """Public URLs of the first few slides."""


async def store_due(
    ledger: Ledger,
    mover: SlideMover,
    scope: ClaimScope,
    *,
    concurrency: int,
    advance: Callable[[], None],
    report: StoreReport | None = None,
) -> StoreReport:
    """Stores the slides of every scraped post. Calls `advance` once per post.

    Arguments:
        report: filled in while the stage works, for whoever needs it however the stage ends.

    Raises:
        ServiceUnavailableError: the database or Storage is down; stored slides are recorded.
    """
    report = report or StoreReport()
    report.stats = mover.stats
    claims = _InAnyOrder(ledger, "scraped", scope.without_limit(), chunk=CLAIM_CHUNK)

    async def store(recorder: Recorder[SlidesResult]) -> None:
        doubtful: list[tuple[Unit, MoveResult]] = []

        async def record(unit: Unit, moved: MoveResult, *, counted: bool = True) -> None:
            result = _result(unit, moved, counted=counted)
            if result.result == "stored":
                report.stored += 1
            else:
                report.incomplete += 1
            await recorder.add(result)

        async def record_doubtful(*, counted: bool) -> None:
            while doubtful:
                await record(*doubtful.pop(), counted=counted)

        async def work(unit: Unit) -> None:
            moved = await _move(unit, mover)
            _add_preview(report, moved)
            if mover.cdn_rejects and _counts(moved) and _may_be_the_cdn(moved):
                doubtful.append((unit, moved))
            else:
                await record(unit, moved)
            if not mover.cdn_rejects:
                await record_doubtful(counted=True)
            advance()

        ended = False
        try:
            await claims.each(work, concurrency=concurrency)
            ended = True
        finally:
            # A rejection counts against a post only if other posts were not rejected too. An
            # interrupted stage can't know.
            rejects_all = mover.stop_reason is not None and not report.stats.downloaded
            await record_doubtful(counted=ended and not rejects_all)

    try:
        with timed(report):
            await record_while(ledger.record_slides, store)
    finally:
        report.rejection = mover.stop_reason
        report.left_to_others = claims.left_to_others
        _log(report)
    return report


class _InAnyOrder(Claims):
    # No attempt is counted when the CDN seems to reject everything. If it rejects only some posts,
    # runs that always began with the same ones would always end there.
    async def chunks(self) -> AsyncIterator[Sequence[Unit]]:
        async for chunk in super().chunks():
            yield random.sample(chunk, len(chunk))


async def _move(unit: Unit, mover: SlideMover) -> MoveResult:
    if unit.post is None:
        raise ValueError(f"unit {unit.id} is scraped but has no post")
    return await mover.move(unit.post, [*unit.known_slides, *unit.slides])


def _result(unit: Unit, moved: MoveResult, *, counted: bool) -> SlidesResult:
    post, sentence = moved.refreshed_post, "; ".join(f.message for f in moved.failures)
    counted = counted and _counts(moved)
    given_up = bool(moved.failures) and counted and unit.is_last_try
    if given_up and unit.post is not None:
        # The post matters more than a slide that will never come: it is kept with the slides that
        # there are and marked as partial.
        log.warning(
            "slide_files: post %s is stored without all of its slides: %s",
            unit.post.tiktok_id,
            sentence,
        )
        post = (post or unit.post).model_copy(update={"data_quality": "partial"})
    return SlidesResult(
        unit_id=unit.id,
        result="retry" if moved.failures and not given_up else "stored",
        slides=tuple(moved.slides),
        post=post,
        error_kind=moved.failures[0].kind if moved.failures else None,
        error=sentence or None,
        counted=counted,
    )


def _counts(moved: MoveResult) -> bool:
    """Whether every failure may be the slide's own fault."""
    return all(KINDS[failure.kind].about_slide for failure in moved.failures)


def _may_be_the_cdn(moved: MoveResult) -> bool:
    return any(failure.kind in REJECTIONS for failure in moved.failures)


def _add_preview(report: StoreReport, moved: MoveResult) -> None:
    for slide in moved.slides[:1]:
        if len(report.previews) < 6:
            report.previews.append(slide.public_url)


def _log(report: StoreReport) -> None:
    stats = report.stats
    if report.rejection:
        log.warning("slide_files: %s", report.rejection)
    log.info(
        "slide_files: %d posts stored, %d incomplete; %d slides downloaded (%.1f MB), "
        "%d uploaded, %d already there, %d failed%s in %.1f s",
        report.stored,
        report.incomplete,
        stats.downloaded,
        stats.bytes / 1e6,
        stats.uploaded,
        stats.already_there + stats.skipped,
        stats.failed,
        f" ({', '.join(f'{n} {kind}' for kind, n in stats.by_kind.most_common())})"
        if stats.by_kind
        else "",
        report.seconds,
    )
