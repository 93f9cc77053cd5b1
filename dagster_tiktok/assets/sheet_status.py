"""`sheet_status`: writes the outcomes back to the sheets, in one call per sheet."""

from typing import Any

import dagster as dg

from dagster_tiktok.assets.attention import Notice, as_metadata
from dagster_tiktok.assets.common import asset_arguments, failed_sheets, markdown_table, sheet_links
from dagster_tiktok.assets.stage import StageTotals, claim_scope, open_stage
from dagster_tiktok.partitions import daily
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.sheet import SheetResource
from dagster_tiktok.sheet.read.rows import COLUMN
from dagster_tiktok.stages.write_back import WriteBackReport, write_back_due


@dg.asset(
    deps=["tiktok_posts", "tiktok_slides"],
    partitions_def=daily,
    **asset_arguments(
        kinds={"googlesheets", "python"},
        description=(
            "Finds each row again by its key and writes its outcome, in one call per sheet. A row "
            "that is gone, duplicated, or whose status a VA changed is reported and not written."
        ),
    ),
)
async def sheet_status(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    database: LedgerResource,
    sheet: SheetResource,
) -> dg.MaterializeResult[None]:
    scope = claim_scope(context, settings)
    report = WriteBackReport()
    async with open_stage(
        context,
        database,
        settings,
        name="sheet_status",
        totals=lambda: StageTotals(
            {**_totals(report), "sheets_failed": len(report.failed)},
            {"sheets_failed": report.failed},
        ),
    ) as ledger:
        with sheet.clients() as clients:
            await write_back_due(ledger, clients, scope, report=report)
    totals = _totals(report)
    conflicts = [
        [written_back.sheet.name, conflict.source_key, conflict.text]
        for written_back in report.sheets
        for conflict in written_back.written.conflicts
    ]
    warnings = [
        [written_back.sheet.name, text]
        for written_back in report.sheets
        for text in written_back.written.warnings
    ]
    notices = [
        Notice(
            row=None,
            kind=COLUMN,
            warning=f"{'' if written_back.sheet.of == 1 else written_back.sheet.name + ': '}{text}",
        )
        for written_back in report.sheets
        for text in written_back.written.warnings
    ]
    return dg.MaterializeResult(
        metadata={
            **as_metadata(notices),
            "dagster/partition_row_count": totals["rows_written"],
            **sheet_links(settings.load().sheets),
            **totals,
            **failed_sheets(report.failed),
            "conflicts_preview": dg.MetadataValue.md(
                markdown_table(["sheet", "row", "not written, because"], conflicts[:50])
            ),
            "warnings": dg.MetadataValue.md(markdown_table(["sheet", "warning"], warnings[:50])),
        }
    )


def _totals(report: WriteBackReport) -> dict[str, Any]:
    return {
        "rows_written": report.total(lambda sheet: len(sheet.written)),
        "already_written": report.total(lambda sheet: len(sheet.already)),
        "conflicts": report.total(lambda sheet: len(sheet.conflicts)),
        "cells_written": report.total(lambda sheet: sheet.cells),
        "daily_scrapes_done": report.daily_scrapes,
        "seconds": round(report.seconds, 3),
    }
