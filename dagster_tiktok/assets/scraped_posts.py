"""`scraped_posts`: scrapes every post that is due, within the rate limit."""

from typing import Any

import dagster as dg

from dagster_tiktok.assets.common import asset_arguments, markdown_table, rate
from dagster_tiktok.assets.stage import StageTotals, claim_scope, open_stage
from dagster_tiktok.partitions import daily
from dagster_tiktok.progress import progress
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.tiktok import TikTokResource
from dagster_tiktok.stages.scrape import ScrapeReport, scrape_due


@dg.asset(
    deps=["sheet_rows"],
    partitions_def=daily,
    # The rate limit holds within one process. The pool's limit of 1 (dagster.yaml) keeps other runs
    # of the same instance from scraping at the same time.
    pool="tiktok",
    **asset_arguments(
        kinds={"tiktok", "python"},
        description=(
            "Claims the units that are due, resolves short links, and scrapes each post's page "
            "within the rate limit. A deleted, private or restricted post ends as `unavailable` "
            "with the reason. After a transient failure the post is tried again, first in the same "
            "run after a pause, then by later runs."
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
