"""`sheet_rows`: reads each tab in one call and opens a unit for every ready row."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import dagster as dg

from dagster_tiktok.assets.attention import Notice, as_metadata
from dagster_tiktok.assets.common import asset_arguments, failed_sheets, markdown_table, sheet_links
from dagster_tiktok.assets.stage import StageTotals, claim_scope, open_stage
from dagster_tiktok.clock import MAX_SKEW, utc_now
from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.models import RowRequest
from dagster_tiktok.partitions import daily
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.sheet import SheetResource
from dagster_tiktok.sheet.read.rows import COLUMN, ROW_IGNORED
from dagster_tiktok.stages.open_rows import OpenReport, SheetOpening, open_ready_rows

CHECK = "rows_understood"


@dg.asset(
    partitions_def=daily,
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset="sheet_rows",
            description=(
                "Every status is known and every ready row can be read. Any other row is "
                "ignored until a VA corrects it."
            ),
        )
    ],
    **asset_arguments(
        kinds={"googlesheets", "python"},
        description=(
            "Reads each tab in one call, validates every row, and opens a unit (slot 0) for each "
            "row whose status is `Ready to Scrape`. Only today's partition reads the sheets; a "
            "past one works only on units that are already open."
        ),
    ),
)
async def sheet_rows(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    database: LedgerResource,
    sheet: SheetResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster accepts no parameter with a check
    scope = claim_scope(context, settings)
    report = OpenReport()
    async with open_stage(
        context,
        database,
        settings,
        name="sheet_rows",
        totals=lambda: _stage_totals(report),
        starting=True,
    ) as ledger:
        today = (await ledger.clock()).today
        if scope.partition_date > today:
            raise ConfigurationError(_not_begun(scope.partition_date, ledger.now()))
        if scope.partition_date < today:
            if scope.partition_date == settings.load().today() and _is_slow(ledger.now()):
                raise ConfigurationError(_is_over(scope.partition_date, ledger.now()))
            context.log.info("A past day opens no units: the sheets are not read.")
            return dg.MaterializeResult(
                metadata={"opened": 0, "read": False},
                check_results=[_check((), read=False)],
            )
        with sheet.clients() as clients:
            await open_ready_rows(ledger, clients, timezone=settings.load().timezone, report=report)
    notices = _notices(report)
    return dg.MaterializeResult(
        metadata={
            **_metadata(report),
            **sheet_links(settings.load().sheets),
            **failed_sheets(report.failed),
            **as_metadata(notices),
        },
        check_results=[_check(notices)],
    )


def _not_begun(day: date, now: datetime) -> str:
    return (
        f"{day} has not begun: by the database's clock it is {now:%Y-%m-%d %H:%M} UTC. Set this "
        "machine's clock and its time zone; `dagster-tiktok doctor` compares the clocks."
    )


def _is_slow(now: datetime) -> bool:
    """Whether this machine's clock is behind the database's by more than MAX_SKEW."""
    return now - utc_now() > MAX_SKEW


def _is_over(day: date, now: datetime) -> str:
    # As a past day it would succeed every night, and every daily scrape would miss its day.
    return (
        f"{day} is over: by the database's clock it is {now:%Y-%m-%d %H:%M} UTC. Set this "
        "machine's clock; `dagster-tiktok doctor` compares the clocks."
    )


def _notices(report: OpenReport) -> tuple[Notice, ...]:
    return tuple(
        Notice(
            row=None if warning.kind == COLUMN else warning.row_number,
            kind=warning.kind,
            warning=_where(opened) + warning.text,
            ready=warning.ready,
        )
        for opened in report.sheets
        for warning in opened.rows.warnings
    )


def _check(notices: Sequence[Notice], *, read: bool = True) -> dg.AssetCheckResult:
    ignored = [notice for notice in notices if notice.kind == ROW_IGNORED]
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not ignored,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "read": read,
            "rows_ignored": len(ignored),
            "rows": dg.MetadataValue.md(
                markdown_table(["row", "why"], [[n.row, n.warning] for n in ignored[:50]])
            ),
        },
    )


def _where(opened: SheetOpening) -> str:
    """The tab, as a prefix of a message, if there are several."""
    return "" if opened.sheet.of == 1 else f'tab "{opened.tab}": '


def _stage_totals(report: OpenReport) -> StageTotals:
    if not report.sheets and not report.failed:
        return StageTotals(
            {"read": False}
        )  # a past day: the rows were not counted, which is not zero rows
    return StageTotals(
        {**_totals(report), "sheets_failed": len(report.failed)}, {"sheets_failed": report.failed}
    )


def _totals(report: OpenReport) -> dict[str, Any]:
    rows = [opened.rows for opened in report.sheets]
    ready = [row for each in rows for row in each.ready]
    warnings = [warning for each in rows for warning in each.warnings]
    return {
        "rows": sum(each.filled_rows for each in rows),
        "ready": len(ready),
        "with_problems": sum(bool(row.problems) for row in ready),
        "warnings": len(warnings),
        "rows_ignored": sum(warning.kind == ROW_IGNORED for warning in warnings),
        "opened": report.units.opened,
        "reopened": report.units.reopened,
        "seconds": round(report.seconds, 3),
    }


def _post(row: RowRequest) -> str:
    if row.tiktok_id is not None:
        return row.tiktok_id
    return "none: see rows_with_problems" if row.problems else "a short link"


def _metadata(report: OpenReport) -> dict[str, Any]:
    # Rows are named by their number: what VAs typed stays in the sheet and the database.
    totals = _totals(report)
    ready = [(opened.tab, row) for opened in report.sheets for row in opened.rows.ready]
    preview = [[tab, row.row_number, _post(row)] for tab, row in ready[:10]]
    problems = [
        [tab, row.row_number, "; ".join(row.problems)] for tab, row in ready if row.problems
    ]
    warnings = [
        [opened.tab, warning.row_number, warning.text]
        for opened in report.sheets
        for warning in opened.rows.warnings
    ]
    return {
        "dagster/row_count": totals["rows"],
        "dagster/partition_row_count": totals["ready"],
        **{key: value for key, value in totals.items() if key != "rows"},
        "ready_rows": dg.MetadataValue.md(markdown_table(["tab", "row", "post"], list(preview))),
        "rows_with_problems": dg.MetadataValue.md(
            markdown_table(["tab", "row", "problem"], problems[:50])
        ),
        "warnings_preview": dg.MetadataValue.md(
            markdown_table(["tab", "row", "warning"], warnings[:50])
        ),
    }
