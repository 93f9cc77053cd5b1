"""`sheet_status`: each row gets the outcome of its look, in one call."""

import dagster as dg

from dagster_tiktok.assets.common import (
    asset_arguments,
    daily,
    due_of,
    markdown_table,
    open_batch,
)
from dagster_tiktok.resources.database import DatabaseResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.sheet import SheetResource
from dagster_tiktok.stages.answer import answer_due


@dg.asset(
    deps=["tiktok_posts", "tiktok_slides"],
    partitions_def=daily,
    **asset_arguments(
        kinds={"googlesheets", "python"},
        description=(
            "Finds each row again by its key and writes its outcome, in one call. A row that is "
            "gone, doubled, or whose status a person changed is reported and left alone."
        ),
    ),
)
async def sheet_status(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    database: DatabaseResource,
    sheet: SheetResource,
) -> dg.MaterializeResult[None]:
    due = due_of(context, settings)
    async with open_batch(context, database, settings) as ledger:
        with sheet.client() as client:
            report = await answer_due(ledger, client, due)
        totals = {
            "rows_written": len(report.sheet.written),
            "answered_already": len(report.sheet.already),
            "conflicts": len(report.sheet.conflicts),
            "cells_written": report.sheet.cells,
            "daily_looks_done": report.looks,
            "seconds": round(report.seconds, 3),
        }
        await ledger.record_stage("sheet_status", totals)
    conflicts = [[conflict.source_key, conflict.text] for conflict in report.sheet.conflicts[:50]]
    return dg.MaterializeResult(
        metadata={
            "dagster/partition_row_count": len(report.sheet.written),
            "sheet": dg.MetadataValue.url(settings.load().google_sheet_url),
            **totals,
            "conflicts_preview": dg.MetadataValue.md(
                markdown_table(["row", "not written, because"], conflicts)
            ),
        }
    )
