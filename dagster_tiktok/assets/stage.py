"""Opens a stage: opens the run's batch, records the stage's totals, translates its errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from dagster_tiktok.database.ledger import Ledger
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.stages.claims import ClaimScope

CONFIGURATION_PROBLEM = "configuration_problem"
"""Key in the metadata of a failure: the configuration is wrong."""


@dataclass(frozen=True)
class StageTotals:
    """What a stage records in its batch. `failures` are messages that only the secret key reads."""

    metrics: dict[str, Any]
    failures: dict[str, Any] = field(default_factory=dict)


def claim_scope(context: dg.AssetExecutionContext, settings: SettingsResource) -> ClaimScope:
    """Which units a run of this partition may claim."""
    loaded = settings.load()
    return ClaimScope(
        partition_date=date.fromisoformat(context.partition_key),
        limit=loaded.pipeline_max_posts_per_run,
    )


@asynccontextmanager
async def open_stage(
    context: dg.AssetExecutionContext,
    database: LedgerResource,
    settings: SettingsResource,
    *,
    name: str,
    totals: Callable[[], StageTotals] | None = None,
    starting: bool = False,
) -> AsyncIterator[Ledger]:
    """Opens the ledger and the run's batch, whose id is the run's id.

    However the stage ends, its totals are recorded in the batch: they matter most on a day when
    TikTok rejects us. An error that ends the stage becomes a `dg.Failure` with the message that an
    operator needs, and the batch is closed with it, so that its row does not stay `running`.

    Arguments:
        name: the asset's name, under which the batch keeps the totals.
        totals: called when the stage has ended; None for a stage without totals.
        starting: True for the first stage, see `ledger.open_ledger`.
    """
    with stage_failure():
        async with database.open(context.run.run_id, starting=starting) as ledger:
            await ledger.open_batch(
                partition_date=date.fromisoformat(context.partition_key),
                source_reference=settings.load().google_sheet_url,
                run_id=context.run.run_id,
            )
            try:
                yield ledger
            except (Exception, asyncio.CancelledError) as error:
                # The error that ends the stage is the one to report. If the database itself failed,
                # nothing can be recorded, and the next run closes the batch.
                with suppress(ServiceUnavailableError, ConfigurationError):
                    await _record(ledger, name, totals)
                    if isinstance(error, (ServiceUnavailableError, ConfigurationError)):
                        await ledger.close_batch(error=str(error))
                raise
            await _record(ledger, name, totals)


async def _record(ledger: Ledger, name: str, totals: Callable[[], StageTotals] | None) -> None:
    if totals is not None:
        recorded = totals()
        await ledger.record_stage(name, recorded.metrics, recorded.failures)


def step_failure(event: dg.DagsterEvent) -> tuple[str | None, Any]:
    """Why a step failed: the message of the `dg.Failure` that ended it, and its error.

    The error is the one that was raised, without the one that Dagster wraps around it.
    """
    failure = event.step_failure_data
    user = failure.user_failure_data
    error = failure.error
    cause = error.cause if error else None
    return (user.description if user else None) or None, cause or error


@contextmanager
def stage_failure() -> Iterator[None]:
    """Turns the errors that end a stage into a `dg.Failure` without a retry."""
    try:
        yield
    except ConfigurationError as error:
        raise dg.Failure(
            description=str(error), metadata={CONFIGURATION_PROBLEM: True}, allow_retries=False
        ) from error
    except ServiceUnavailableError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
