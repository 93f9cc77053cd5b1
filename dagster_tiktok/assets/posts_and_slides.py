"""`tiktok_posts` and `tiktok_slides`: writes both tables, one transaction per chunk."""

from typing import Any

import dagster as dg

from dagster_tiktok.assets.common import asset_arguments, markdown_table, rate
from dagster_tiktok.assets.stage import StageTotals, claim_scope, open_stage
from dagster_tiktok.partitions import daily
from dagster_tiktok.progress import progress
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.stages.persist import PersistReport, persist_due


@dg.multi_asset(
    name="posts_and_slides",
    partitions_def=daily,
    specs=[
        dg.AssetSpec(
            "tiktok_posts",
            deps=["slide_files"],
            metadata={"dagster/table_name": "public.tiktok_posts"},
            **asset_arguments(
                kinds={"postgres", "supabase"},
                description=(
                    "Writes each post and a snapshot of its metrics, fills `dayN_views` after a "
                    "daily scrape, and opens the five daily scrapes after the first one."
                ),
            ),
        ),
        dg.AssetSpec(
            "tiktok_slides",
            deps=["slide_files"],
            metadata={"dagster/table_name": "public.tiktok_slides"},
            **asset_arguments(
                kinds={"postgres", "supabase"},
                description="Writes one row per stored slide, in the same transaction as its post.",
            ),
        ),
    ],
)
async def posts_and_slides(
    context: dg.AssetExecutionContext, settings: SettingsResource, database: LedgerResource
) -> tuple[dg.MaterializeResult[None], dg.MaterializeResult[None]]:
    scope = claim_scope(context, settings)
    report = PersistReport()
    async with open_stage(
        context,
        database,
        settings,
        name="tiktok_posts",
        totals=lambda: StageTotals(_totals(report)),
    ) as ledger:
        with progress("tiktok_posts", "posts") as bar:
            await persist_due(ledger, scope, report=report, advance=bar.advance)
    failed = markdown_table(["unit", "error"], [[f.unit_id, f.error] for f in report.failed[:50]])
    return (
        dg.MaterializeResult(
            asset_key="tiktok_posts",
            metadata={
                "dagster/partition_row_count": report.posts_written,
                **_totals(report),
                "posts_per_second": rate(report.posts_written, report.seconds),
                "failed_units": dg.MetadataValue.md(failed),
            },
        ),
        dg.MaterializeResult(
            asset_key="tiktok_slides",
            metadata={
                "dagster/partition_row_count": report.slides_written,
                "slides_written": report.slides_written,
                "slides_per_second": rate(report.slides_written, report.seconds),
            },
        ),
    )


def _totals(report: PersistReport) -> dict[str, Any]:
    return {
        "persisted": report.persisted,
        "posts_written": report.posts_written,
        "slides_written": report.slides_written,
        "failed": len(report.failed),
        "seconds": round(report.seconds, 3),
    }
