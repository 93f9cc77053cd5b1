"""Asset checks: what an operator should check although the run succeeded."""

import dagster as dg

from dagster_tiktok.assets.stage import (
    stage_failure,
)
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource


@dg.asset_check(  # type: ignore[arg-type]  # Dagster runs coroutines, its types do not say so
    asset="scraping_logs",
    description=(
        "At least PIPELINE_MIN_SUCCESS_RATE of the processed units succeeded. If not, many posts "
        "are deleted or private, or TikTok has changed its pages."
    ),
)
async def success_rate(
    context: dg.AssetCheckExecutionContext, settings: SettingsResource, database: LedgerResource
) -> dg.AssetCheckResult:
    with stage_failure():
        async with database.open(context.run.run_id) as ledger:
            summary = await ledger.close_batch()
        wanted = settings.load().pipeline_min_success_rate
    return dg.AssetCheckResult(
        passed=summary.success_rate >= wanted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "success_rate": round(summary.success_rate, 4),
            "wanted": wanted,
            "succeeded": summary.succeeded,
            "processed": summary.urls_processed,
        },
    )


CHECKS = [success_rate]
