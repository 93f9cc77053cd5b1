"""Runs one partition in this process, for `dagster-tiktok run`."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar
from uuid import UUID, uuid4

import dagster as dg

from dagster_tiktok.assets.attention import Notice, collect_notices, count_notices
from dagster_tiktok.assets.stage import CONFIGURATION_PROBLEM, step_failure
from dagster_tiktok.automation import scrape_posts
from dagster_tiktok.database.functions import DatabaseClock
from dagster_tiktok.database.ledger import open_ledger
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.models import BatchSummary
from dagster_tiktok.partitions import daily
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.settings import Settings

# Dagster's console log repeats every event with stack traces. Here an operator reads the stages'
# closing lines and the report; the event log has everything.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


T = TypeVar("T")
LAST_STEP = "scraping_logs"
REPORTED_ERRORS = 10_000


@dataclass(frozen=True)
class RunOutcome:
    """`failures`: messages of the stages that ended the run. `notices`: what VAs should check."""

    summary: BatchSummary
    failures: tuple[str, ...]
    notices: tuple[Notice, ...] = ()
    notice_counts: Mapping[str, int] = field(default_factory=dict)
    """Number of notices by kind; `notices` has only the first ones of each asset."""
    sheet_names: Mapping[str, str] = field(default_factory=dict)
    """The names of sheets in messages, by `SheetUrl.source`."""

    @property
    def complete(self) -> bool:
        return not self.failures and self.summary.unfinished == 0


def run_partition(
    settings: SettingsResource,
    definitions: dg.Definitions,
    *,
    partition: date | None = None,
    run_id: UUID | None = None,
) -> RunOutcome:
    """Runs the job for one day and reads its summary from the database.

    Arguments:
        partition: the day; today by the database's clock.

    Raises:
        ConfigurationError: a setting is wrong; found before or during the run.
    """
    loaded = settings.load()
    clock = asyncio.run(_clock(loaded))
    partition = partition or clock.today
    _check_partition(partition, clock.today, loaded)
    run_id = run_id or uuid4()
    # Dagster decides by this machine's clock which partitions exist, and it may be wrong.
    with _instance() as instance, dg.partition_loading_context(clock.now):
        result = definitions.resolve_job_def(scrape_posts.name).execute_in_process(
            run_config=_QUIET,
            instance=instance,
            partition_key=partition.isoformat(),
            run_id=str(run_id),
            raise_on_error=False,
        )
        failures = [
            (event.step_key, _message(event))
            for event in result.all_events
            if event.is_step_failure
        ]
        notices = collect_notices(result.all_events)
        counts = count_notices(result.all_events)
    ended_by = tuple(text for step, text in failures if step != LAST_STEP)
    summary = asyncio.run(_close(loaded, run_id, ended_by))
    # The last stage fails because something is unfinished. The report lists that one by one.
    told = ended_by if summary.unfinished else tuple(text for _, text in failures)
    sheets = tuple(f"{name}: {text}" for name, text in summary.sheets_failed.items())
    names = {sheet.source: sheet.name for sheet in loaded.sheets}
    return RunOutcome(summary, tuple(dict.fromkeys((*told, *sheets))), notices, counts, names)


def run_until_interrupted(run: Callable[[UUID], T], settings: SettingsResource) -> T:
    """Runs in a thread, so that Ctrl-C and SIGTERM end the process at once, with one line.

    That is safe, because every stage may be killed anywhere. This closes the batch and releases
    its leases, so that the next run does not wait for them.

    Raises:
        RunInterruptedError: a signal came. The thread still works: exit with `os._exit`.
    """
    run_id = uuid4()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return ThreadPoolExecutor(max_workers=1).submit(run, run_id).result()
    except KeyboardInterrupt:
        # If closing fails, the next run still continues where this one stopped.
        with suppress(ServiceUnavailableError, ConfigurationError):
            asyncio.run(_close(settings.load(), run_id, ("interrupted",)))
        raise RunInterruptedError from None


class RunInterruptedError(Exception):
    """An operator or the system ended the run."""


async def _clock(settings: Settings) -> DatabaseClock:
    async with open_ledger(settings, owner=uuid4(), starting=True) as ledger:
        return await ledger.clock()


def _check_partition(partition: date, today: date, settings: Settings) -> None:
    first = date.fromisoformat(daily.start.date().isoformat())
    if not first <= partition <= today:
        raise ConfigurationError(
            f"--date {partition} is not a partition: choose a day from {first} to {today} "
            f"(PIPELINE_TIMEZONE is {settings.pipeline_timezone})."
        )


def _instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME, so that the UI shows the run, else an ephemeral one."""
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    return dg.DagsterInstance.ephemeral()


def _message(event: dg.DagsterEvent) -> str:
    message, error = step_failure(event)
    if message:
        user = event.step_failure_data.user_failure_data
        if user is not None and CONFIGURATION_PROBLEM in user.metadata:
            raise ConfigurationError(message)
        return message
    return f"{event.step_key} failed: {error.message.strip() if error else 'unknown error'}"


async def _close(settings: Settings, batch_id: UUID, failures: tuple[str, ...]) -> BatchSummary:
    """Closes a batch that a failed stage left open; closing it again changes nothing."""
    async with open_ledger(settings, owner=batch_id) as ledger:
        return await ledger.close_batch(
            error="; ".join(failures) or None, error_limit=REPORTED_ERRORS
        )
