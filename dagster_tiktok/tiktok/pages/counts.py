"""Views, likes, followers and the other counts of a page, and how complete they are."""

from __future__ import annotations

from typing import Any

from dagster_tiktok.models import DataQuality, Metrics
from dagster_tiktok.tiktok.failures import FailureKind, unreadable
from dagster_tiktok.tiktok.pages.scope import make_incomplete_error
from dagster_tiktok.tiktok.pages.shapes import ItemShape, StatsShape

# Unix seconds of 2001 and 2106: outside of them `createTime` is a placeholder.
FIRST_SECOND, LAST_SECOND = 1_000_000_000, 2**32 - 1


def parse_metrics(item: ItemShape, scope: dict[str, Any]) -> Metrics:
    """The post's counts.

    Raises:
        PostUnreadableError: a login wall has blanked them, or none can be read.
    """
    sources = _by_preference(item.stats_v2, item.stats)
    if not any(sources):
        raise unreadable(FailureKind.LOGIN_WALL, "the item has no stats")
    metrics = Metrics(
        views=_first_count("play_count", *sources),
        likes=_first_count("digg_count", *sources),
        comments=_first_count("comment_count", *sources),
        shares=_first_count("share_count", *sources),
        bookmarks=_first_count("collect_count", *sources),
    )
    counts = [count for _, count in metrics if count is not None]
    if not counts:
        raise make_incomplete_error(scope, "no count of the item can be read")
    if parse_time(item) is None and not any(counts):
        # The login wall blanks both (the time is "0", empty, left out or another placeholder).
        # Without this check we would store the zeros as the truth.
        raise unreadable(FailureKind.LOGIN_WALL, "the item's time and counts are blank")
    return metrics


def parse_followers(v2: StatsShape | None, stats: StatsShape | None) -> int | None:
    """The account's followers, None if they are missing or blank."""
    present = [source for source in (v2, stats) if source is not None]
    if all(source.is_blank for source in present) and any(s.video_count == 0 for s in present):
        # The account has at least the post that we scrape: these zeros are placeholders.
        return None
    return _first_count("follower_count", *_by_preference(v2, stats))


def parse_time(item: ItemShape) -> int | None:
    """When the post was created, in unix seconds; None if that is a placeholder."""
    seconds = item.create_time
    is_time = seconds is not None and FIRST_SECOND <= seconds <= LAST_SECOND
    return seconds if is_time else None


def rate_quality(metrics: Metrics, followers: int | None) -> DataQuality:
    """How complete the numbers of a post are."""
    counts = (
        metrics.views,
        metrics.likes,
        metrics.comments,
        metrics.shares,
        metrics.bookmarks,
    )
    if any(count is None for count in counts):
        return "partial"
    return "complete" if followers is not None else "no_account"


def _by_preference(
    v2: StatsShape | None, stats: StatsShape | None
) -> tuple[StatsShape | None, ...]:
    """`statsV2` before `stats`, unless it is blank and the other one is not."""
    if v2 is not None and stats is not None and v2.is_blank and not stats.is_blank:
        return (stats,)
    return (v2, stats)


def _first_count(name: str, *sources: StatsShape | None) -> int | None:
    counts = (getattr(source, name) for source in sources if source is not None)
    return next((count for count in counts if count is not None), None)
