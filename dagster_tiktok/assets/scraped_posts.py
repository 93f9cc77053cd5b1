"""`scraped_posts`: every post that is due is looked at, within the rate limit."""

from typing import Any

import dagster as dg

from dagster_tiktok.assets.common import (
    asset_arguments,
    markdown_table,
    rate,
)
from dagster_tiktok.assets.stage import (
    StageTotals,
    claim_scope,
    open_stage,
)
from dagster_tiktok.partitions import daily
from dagster_tiktok.progress import progress
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.tiktok import TikTokResource
from dagster_tiktok.stages.scrape import ScrapeReport, scrape_due


@dg.asset(
    deps=["sheet_rows"],
    partitions_def=daily,
    # The rate limit holds in one process: the pool's limit of 1 (dagster.yaml) keeps the runs of
    # one instance from asking TikTok at the same time.
    pool="tiktok",
    **asset_arguments(
        kinds={"tiktok", "python"},
        description=(
            "Claims the looks that are due, resolves short links, fetches and parses each post's "
            "page once. Posts that are gone, private or withheld end as `unavailable` with the "
            "reason; what may pass is tried again after a pause, then by the next run."
        ),
    ),
)
async def scraped_posts(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    database: LedgerResource,
    tiktok: TikTokResource,
) -> dg.MaterializeResult[None]:
    scope = claim_scope(context, settings)
    report = ScrapeReport()
    async with (
        open_stage(
            context,
            database,
            settings,
            name="scraped_posts",
            totals=lambda: StageTotals(_totals(report)),
        ) as ledger,
        tiktok.open(now=ledger.now) as client,
    ):
        with progress("scraped_posts", "posts") as bar:
            await scrape_due(
                ledger,
                client,
                scope,
                report=report,
                advance=bar.advance,
                pass_pause_seconds=tiktok.pass_pause_seconds,
            )
    return dg.MaterializeResult(metadata=_metadata(report))


def _totals(report: ScrapeReport) -> dict[str, Any]:
    return {
        "scraped": report.scraped,
        "scraped_later": report.scraped_later,
        "unavailable": report.unavailable,
        "to_try_again": report.retried,
        "expired": report.expired,
        "left_to_other_runs": report.left_to_others,
        "requests": report.requests,
        "seconds": round(report.seconds, 3),
        "failure_kinds": dict(report.kinds),
        "methods": dict(report.methods),
    }


def _metadata(report: ScrapeReport) -> dict[str, Any]:
    preview = [
        [
            post.tiktok_id,
            post.account,
            post.metrics.views,
            post.metrics.likes,
            len(post.slides),
            post.description,
        ]
        for post in report.posts
    ]
    return {
        "dagster/partition_row_count": report.scraped,
        **_totals(report),
        "posts_per_second": rate(report.scraped, report.seconds),
        "preview": dg.MetadataValue.md(
            markdown_table(["post", "account", "views", "likes", "slides", "caption"], preview)
        ),
    }
