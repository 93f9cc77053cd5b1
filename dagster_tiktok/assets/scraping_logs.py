"""`scraping_logs`: closes the batch and fails the day while a due unit is unfinished."""

import dagster as dg

from dagster_tiktok.assets.common import ONLY_WAITS, asset_arguments, failed_sheets, markdown_table
from dagster_tiktok.assets.stage import open_stage
from dagster_tiktok.models import BatchSummary
from dagster_tiktok.partitions import daily
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource


@dg.asset(
    deps=["sheet_status"],
    partitions_def=daily,
    metadata={"dagster/table_name": "public.scraping_logs"},
    **asset_arguments(
        kinds={"postgres", "supabase"},
        description=(
            "Writes the run's totals to `scraping_logs`. Fails the partition while a due unit is "
            "unfinished or a sheet failed: this asset alone decides whether the day is complete."
        ),
    ),
)
async def scraping_logs(
    context: dg.AssetExecutionContext, settings: SettingsResource, database: LedgerResource
) -> dg.MaterializeResult[None]:
    async with open_stage(context, database, settings, name="scraping_logs") as ledger:
        summary = await ledger.close_batch()
    metadata = summary_metadata(summary)
    problems = [f"{name}: {text}" for name, text in summary.sheets_failed.items()]
    if summary.unfinished:
        problems.append(
            f"{summary.unfinished} units due by {summary.partition_date} are unfinished; "
            "another run of this partition works only on them."
        )
    if summary.waiting:
        problems.append(f"{summary.waiting} of them wait for their next attempt")
    if problems:
        raise dg.Failure(
            description="; ".join(problems),
            metadata={**metadata, ONLY_WAITS: summary.only_waits},
            allow_retries=False,
        )
    return dg.MaterializeResult(metadata=metadata)


def summary_metadata(summary: BatchSummary) -> dict[str, dg.MetadataValue]:
    """The run's totals and its first errors, for the UI."""
    errors = [
        [e.source_key, e.slot, e.outcome or e.state, e.error_kind, e.error, e.next_try_at]
        for e in summary.errors[:50]
    ]
    totals: dict[str, float | int] = {
        "urls_processed": summary.urls_processed,
        "succeeded": summary.succeeded,
        "unavailable": summary.unavailable,
        "expired": summary.expired,
        "unfinished": summary.unfinished,
        "waiting": summary.waiting,
        "success_rate": round(summary.success_rate, 4),
        "slides_downloaded": summary.slides_downloaded,
        "slides_uploaded": summary.slides_uploaded,
        "bytes_downloaded": summary.bytes_downloaded,
        "duration_seconds": round(summary.duration_seconds, 3),
    }
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(1),
        "status": dg.MetadataValue.text(summary.status),
        **{
            key: dg.MetadataValue.int(value)
            if isinstance(value, int)
            else dg.MetadataValue.float(value)
            for key, value in totals.items()
        },
        **failed_sheets(summary.sheets_failed),
        "repeated_rows": dg.MetadataValue.md(
            markdown_table(
                ["row", "same post as row"],
                [[row.source_key, row.first_key] for row in summary.repeated[:50]],
            )
        ),
        "waiting_elsewhere": dg.MetadataValue.md(
            markdown_table(
                ["sheet not in GOOGLE_SHEET_URL", "rows", "since"],
                [[sheet.source, sheet.units, sheet.since] for sheet in summary.elsewhere[:50]],
            )
        ),
        "errors": dg.MetadataValue.md(
            markdown_table(["unit", "slot", "state", "kind", "reason", "next attempt"], errors)
        ),
    }
