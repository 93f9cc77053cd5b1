"""`slide_files`: the slides of scraped posts go from the CDN to the bucket."""

from typing import Any

import dagster as dg

from dagster_tiktok.assets.common import (
    asset_arguments,
    daily,
    due_of,
    open_batch,
    progress,
    rate,
)
from dagster_tiktok.resources.database import DatabaseResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.slide_store import SlideStoreResource
from dagster_tiktok.resources.tiktok import TikTokResource
from dagster_tiktok.stages.store import StoreReport, store_due


@dg.asset(
    deps=["scraped_posts"],
    partitions_def=daily,
    **asset_arguments(
        kinds={"supabase", "python"},
        description=(
            "Streams each carousel slide from TikTok's CDN to a bounded disk cache, verifies the "
            "picture, and uploads it to the bucket under the hash of its content. A slide that is "
            "stored already is not fetched again."
        ),
    ),
)
async def slide_files(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    database: DatabaseResource,
    tiktok: TikTokResource,
    slide_store: SlideStoreResource,
) -> dg.MaterializeResult[None]:
    due = due_of(context, settings)
    async with (
        open_batch(context, database, settings) as ledger,
        tiktok.open() as client,
        slide_store.open_mover(refresh=client.fetch_post) as mover,
    ):
        with progress("slide_files", "posts") as advance:
            report = await store_due(
                ledger,
                mover,
                due,
                # Posts of one slide overlap download and upload only if several are under way;
                # the mover bounds the slides in flight itself.
                concurrency=3 * settings.load().slide_max_concurrent_downloads,
                advance=lambda: advance(1),
            )
        await ledger.record_stage("slide_files", _totals(report))
    return dg.MaterializeResult(metadata=_metadata(report))


def _totals(report: StoreReport) -> dict[str, Any]:
    stats = report.stats
    return {
        "posts_stored": report.stored,
        "posts_incomplete": report.incomplete,
        "left_to_other_runs": report.left_to_others,
        **stats.as_metrics(),
        "seconds": round(report.seconds, 3),
    }


def _metadata(report: StoreReport) -> dict[str, Any]:
    return {
        "dagster/partition_row_count": report.stats.uploaded,
        **_totals(report),
        "slides_per_second": rate(report.stats.downloaded, report.seconds),
        "preview": dg.MetadataValue.md(
            " ".join(f"![slide]({address})" for address in report.previews) or "Nothing to move."
        ),
    }
