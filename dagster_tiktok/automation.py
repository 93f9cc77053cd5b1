"""What starts runs and sends alerts: the job, its schedule and its sensors.

The decisions are pure functions. The sensors only fetch, call them, and report.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from dagster_tiktok.assets.attention import Notice, alert_text, collect_notices
from dagster_tiktok.assets.common import GROUP, ONLY_WAITS
from dagster_tiktok.assets.stage import step_failure
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.resources.alerts import AlertResource
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.sheet import SheetResource
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.rows import read_rows, ready_digest
from dagster_tiktok.stages.open_rows import failure_reason

FIRST_ASSET = dg.AssetKey("sheet_rows")
IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

scrape_posts = dg.define_asset_job(
    "scrape_posts",
    selection=dg.AssetSelection.groups(GROUP),
    description="One day: scrapes the ready rows of the sheet and the daily scrapes that are due.",
    # A failed step never needs a retry of the whole run: the ledger holds what is unfinished, and
    # the next run of the partition works only on that.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
)

daily_scrape = dg.build_schedule_from_partitioned_job(
    scrape_posts,
    name="daily_scrape",
    hour_of_day=2,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 02:00, in PIPELINE_TIMEZONE.",
)


@dataclass(frozen=True)
class Launch:
    """Start a run of the partition. `cursor` records which rows it was started for."""

    partition: str
    cursor: str


@dataclass(frozen=True)
class Skip:
    reason: str


def reason_to_wait(*, ready: int, run_in_flight: bool) -> Skip | None:
    """Why no run starts, whatever day it is; None if one may start."""
    if not ready:
        return Skip("No row is ready.")
    if run_in_flight:
        return Skip(f"{ready} rows are ready; a run is in progress.")
    return None


def decide_launch(
    *,
    digests: Mapping[str, str],
    ready: int,
    partition: str,
    cursor: str | None,
) -> Launch | Skip:
    """Whether to start a run for the waiting rows.

    One run a day for the same set of ready rows: rows that stay ready (a transient problem, or a VA
    must act) wait for the schedule instead of starting a run every few minutes.

    Arguments:
        digests: of the ready rows of each sheet, by source. A sheet that cannot be read now is left
            out: its old digest stays, so that it starts no run when it can be read again.
        ready: how many rows are ready.
        partition: today, by the database's clock.
    """
    remembered: dict[str, Any] = json.loads(cursor) if cursor else {}
    already_run = remembered.get("digests", {}) if remembered.get("partition") == partition else {}
    if all(already_run.get(source) == digest for source, digest in digests.items()):
        return Skip(f"The {ready} ready rows already had a run today.")
    cursor = json.dumps({"digests": {**already_run, **digests}, "partition": partition})
    return Launch(partition, cursor)


@dg.sensor(
    job=scrape_posts,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run of today's partition when a sheet has ready rows.",
)
def ready_rows(
    context: dg.SensorEvaluationContext,
    settings: SettingsResource,
    sheet: SheetResource,
    database: LedgerResource,
) -> dg.SensorResult | dg.SkipReason:
    loaded = settings.load()
    digests: dict[str, str] = {}
    ready = 0
    unreadable: list[str] = []
    try:
        with sheet.clients() as clients:
            for client in clients:
                try:
                    grid = client.read()
                    rows = read_rows(grid, find_layout(grid), loaded.timezone)
                except (ConfigurationError, ServiceUnavailableError) as error:
                    unreadable.append(
                        str(error)
                        if len(clients) == 1
                        else f"{client.sheet.name}: {failure_reason(client.sheet, error)}"
                    )
                    continue
                if rows.ready:
                    digests[client.sheet.source] = ready_digest(rows.ready)
                    ready += len(rows.ready)
    except ConfigurationError as error:
        return dg.SkipReason(str(error))
    # A failed read is not an empty sheet: the other sheets decide, and the tick says why.
    for text in unreadable:
        context.log.warning(text)
    if len(unreadable) == len(loaded.sheets):
        return dg.SkipReason("; ".join(unreadable))
    skip = reason_to_wait(ready=ready, run_in_flight=_run_in_flight(context.instance))
    # Only now: most ticks do not need the database.
    today = skip or _today(database, by_this_machine=loaded.today())
    decision = (
        today
        if isinstance(today, Skip)
        else decide_launch(digests=digests, ready=ready, partition=today, cursor=context.cursor)
    )
    if isinstance(decision, Skip):
        return dg.SkipReason("; ".join([decision.reason, *unreadable]))
    return dg.SensorResult(
        run_requests=[dg.RunRequest(partition_key=decision.partition)], cursor=decision.cursor
    )


def _today(database: LedgerResource, *, by_this_machine: date) -> str | Skip:
    """Today's partition by the database's clock, the only one that a run may work on.

    Five minutes before midnight, a fast clock would start tomorrow's run: it would fail, and its
    rows would count as already run on that day.
    """
    try:
        today = asyncio.run(database.clock()).today
    except (ConfigurationError, ServiceUnavailableError) as error:
        return Skip(f"Rows are ready, but the database is not: {error}")
    if today > by_this_machine:
        # Dagster only knows the partitions that have begun by this machine's clock.
        return Skip(
            f"By the database's clock it is {today} already: a run starts when this machine's "
            "clock gets there. `dagster-tiktok doctor` compares the clocks."
        )
    return today.isoformat()


def _run_in_flight(instance: dg.DagsterInstance) -> bool:
    # A run that a user launched from the graph does not belong to the job, but has its assets.
    runs = instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS), limit=100)
    return any(
        run.job_name == scrape_posts.name or FIRST_ASSET in (run.asset_selection or ())
        for run in runs
    )


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description=(
        "Reports a failed run to ALERT_WEBHOOK_URL, with the reason, unless everything unfinished "
        "only waits for its next attempt."
    ),
)
def failure_alert(
    context: dg.RunFailureSensorContext, alerts: AlertResource
) -> dg.SkipReason | None:
    events = context.get_step_failure_events()
    if events and all(_only_waits(event) for event in events):
        return dg.SkipReason("Every unfinished unit waits for its next attempt.")
    text = failure_text(
        job=context.dagster_run.job_name,
        partition=context.dagster_run.tags.get("dagster/partition"),
        run_id=context.dagster_run.run_id,
        reasons=[_reason(event) for event in events],
        fallback=context.failure_event.message or "the run failed",
    )
    notices = _notices(context.instance, context.dagster_run.run_id)
    if notices:
        text += "\n" + alert_text(context.dagster_run.tags.get("dagster/partition"), notices)
    if not alerts.send(text):
        return dg.SkipReason("ALERT_WEBHOOK_URL is not set: no alert is sent.")
    return None


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description=(
        "Once a day, after the nightly run, sends to ALERT_WEBHOOK_URL which rows of the sheet "
        "are ignored, and which columns are missing or not written."
    ),
)
def sheet_alert(context: dg.RunStatusSensorContext, alerts: AlertResource) -> dg.SkipReason | None:
    run = context.dagster_run
    if run.tags.get("dagster/schedule_name") != daily_scrape.name:
        return dg.SkipReason("Not the nightly run: once a day is enough.")
    notices = _notices(context.instance, run.run_id)
    if not notices:
        return dg.SkipReason("Every row and column of the sheet is understood.")
    if not alerts.send(alert_text(run.tags.get("dagster/partition"), notices)):
        return dg.SkipReason("ALERT_WEBHOOK_URL is not set: no alert is sent.")
    return None


def _notices(instance: dg.DagsterInstance, run_id: str) -> tuple[Notice, ...]:
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    notices = collect_notices(entry.dagster_event for entry in entries)
    return tuple(notice for notice in notices if notice.is_listed)


def failure_text(
    *, job: str, partition: str | None, run_id: str, reasons: list[str], fallback: str
) -> str:
    """The text of an alert: which day failed, why, and in which run."""
    why = "; ".join(reasons) or fallback
    return f"{job} failed for {partition or 'no partition'}: {why} (run {run_id[:8]})"


def _only_waits(event: dg.DagsterEvent) -> bool:
    failure = event.step_failure_data.user_failure_data
    value = failure.metadata.get(ONLY_WAITS) if failure else None
    return value is not None and value.value is True


def _reason(event: dg.DagsterEvent) -> str:
    message, error = step_failure(event)
    if message:
        return message
    return f"{event.step_key}: {error.cls_name if error else 'error'}"


SCHEDULES = [daily_scrape]
SENSORS = [ready_rows, failure_alert, sheet_alert]
JOBS = [scrape_posts]
