"""`slide_files`: moves the slides of scraped posts from the CDN to the bucket."""

from functools import partial
from typing import Any

import dagster as dg

from dagster_tiktok.assets.common import asset_arguments, markdown_table, rate
from dagster_tiktok.assets.stage import StageTotals, claim_scope, open_stage
from dagster_tiktok.partitions import daily
from dagster_tiktok.progress import progress
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.slide_mover import SlideMoverResource
from dagster_tiktok.resources.tiktok import TikTokResource
from dagster_tiktok.slides.failures import KINDS
from dagster_tiktok.slides.stats import average, p95
from dagster_tiktok.stages.store_slides import StoreReport, store_due


@dg.asset(
    deps=["scraped_posts"],
    partitions_def=daily,
    **asset_arguments(
        kinds={"supabase", "python"},
        description=(
            "Streams each carousel slide from TikTok's CDN to a bounded disk cache, verifies the "
            "image, and uploads it to the bucket under the hash of its content. A slide that is "
            "already stored is not downloaded again."
        ),
    ),
)
async def slide_files(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    database: LedgerResource,
    tiktok: TikTokResource,
    slide_store: SlideMoverResource,
) -> dg.MaterializeResult[None]:
    scope = claim_scope(context, settings)
    report = StoreReport()
    async with (
        open_stage(
            context,
            database,
            settings,
            name="slide_files",
            totals=lambda: StageTotals(_totals(report), _rejection(report)),
        ) as ledger,
        tiktok.open(now=ledger.now) as client,
        slide_store.open(
            now=ledger.now,
            refresh=partial(client.fetch_post, is_photo=True),
            cookies=client.cookies,
        ) as mover,
    ):
        with progress("slide_files", "slides") as bar:

            def show(_: object = None) -> None:
                stats = mover.stats
                bar.show(
                    stats.slides, of=mover.wanted, failed=stats.failed, MB=stats.bytes // 10**6
                )

            mover.on_slide = show
            await store_due(
                ledger,
                mover,
                scope,
                # Posts with one slide overlap download and upload only if several are in
                # progress; the mover limits the slides in flight itself.
                concurrency=3 * settings.load().slide_max_concurrent_downloads,
                report=report,
                advance=show,
            )
    return dg.MaterializeResult(metadata=stage_metadata(report))


def _totals(report: StoreReport) -> dict[str, Any]:
    stats = report.stats
    return {
        "posts_stored": report.stored,
        "posts_incomplete": report.incomplete,
        "left_to_other_runs": report.left_to_others,
        **stats.as_metrics(),
        "seconds": round(report.seconds, 3),
    }


def _rejection(report: StoreReport) -> dict[str, Any]:
    return {"rejection": report.rejection} if report.rejection else {}


def stage_metadata(report: StoreReport) -> dict[str, Any]:
    """The stage's totals and its first slides, for the UI."""
    stats = report.stats
    totals = {k: v for k, v in _totals(report).items() if not isinstance(v, dict)}
    totals |= _rejection(report)
    hosts = [
        [
            name,
            host.downloaded,
            f"{host.bytes / 1e6:.1f}",
            average(host.seconds),
            p95(host.seconds),
            ", ".join(f"{count} {kind}" for kind, count in host.failures.most_common()),
        ]
        for name, host in sorted(stats.hosts.items())
    ]
    kinds = [[kind, count, KINDS[kind].message] for kind, count in stats.by_kind.most_common()]
    return {
        "dagster/partition_row_count": stats.uploaded,
        **totals,
        "slides_per_second": rate(stats.downloaded, report.seconds),
        "hosts": dg.MetadataValue.md(
            markdown_table(
                ["host", "slides", "MB", "seconds", "seconds, p95", "failed requests"], hosts
            )
        ),
        "failure_kinds": dg.MetadataValue.md(
            markdown_table(["kind", "slides", "what it means"], kinds)
        ),
        "preview": dg.MetadataValue.md(
            " ".join(f"![slide]({url})" for url in report.previews) or "No slides to move."
        ),
    }
