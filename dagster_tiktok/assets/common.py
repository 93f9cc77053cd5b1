"""What every asset of the group shares: the calendar, the batch, the error that ends a stage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import date
from typing import Any, TypedDict

import dagster as dg

from dagster_tiktok.database.ledger import Ledger
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailable
from dagster_tiktok.resources.database import DatabaseResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.sheet.urls import SheetUrl
from dagster_tiktok.stages.claims import Due

GROUP = "tiktok"
OWNERS = ["team:content-data"]
CONFIGURATION_PROBLEM = "configuration_problem"
ONLY_WAITS = "only_waits"
"""In the metadata of a failure: all that is unfinished waits for its next try."""


class AssetArguments(TypedDict):
    group_name: str
    owners: list[str]
    kinds: set[str]
    description: str
    code_version: str


def asset_arguments(*, kinds: set[str], description: str, version: str = "1") -> AssetArguments:
    """What is the same for every asset of the group."""
    return {
        "group_name": GROUP,
        "owners": OWNERS,
        "kinds": kinds,
        "description": description,
        "code_version": version,
    }


def due_of(context: dg.AssetExecutionContext, settings: SettingsResource) -> Due:
    """What the run's partition may claim."""
    loaded = settings.load()
    return Due(
        partition_date=date.fromisoformat(context.partition_key),
        limit=loaded.pipeline_max_posts_per_run,
    )


@asynccontextmanager
async def open_batch(
    context: dg.AssetExecutionContext,
    database: DatabaseResource,
    settings: SettingsResource,
    *,
    starting: bool = False,
) -> AsyncIterator[Ledger]:
    """The ledger, with the run's batch opened: the run's id is the batch's id.

    `starting` is for the first stage, see `ledger.open_ledger`.

    An error that ends the stage becomes a `dg.Failure` with the one sentence that a person needs,
    and the batch is closed with it, so that no record stays `running`.
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
            except (ConfigurationError, ServiceUnavailable) as error:
                # The error that ends the stage is the one to report; a batch that can't be
                # closed because the database is what failed is closed by nobody.
                with suppress(ServiceUnavailable, ConfigurationError):
                    await ledger.close_batch(error=str(error))
                raise


@contextmanager
def stage_failure() -> Iterator[None]:
    """Turns the errors that end a stage into a failure of the step, never retried at once."""
    try:
        yield
    except ConfigurationError as error:
        raise dg.Failure(
            description=str(error), metadata={CONFIGURATION_PROBLEM: True}, allow_retries=False
        ) from error
    except ServiceUnavailable as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def sheet_links(sheets: Sequence[SheetUrl]) -> dict[str, dg.MetadataValue]:
    """The sheets as metadata: one entry each."""
    return {
        "sheet" if sheet.of == 1 else f"sheet_{sheet.number}": dg.MetadataValue.url(sheet.url)
        for sheet in sheets
    }


def failed_sheets(failed: Mapping[str, str]) -> dict[str, dg.MetadataValue]:
    """Which sheets could not be worked with, and why. Nothing if all could."""
    if not failed:
        return {}
    rows = [[name, text] for name, text in failed.items()]
    return {"sheets_failed": dg.MetadataValue.md(markdown_table(["sheet", "why"], rows))}


def rate(count: int, seconds: float) -> float:
    """`count` a second, for metadata."""
    return round(count / seconds, 2) if seconds > 0 else 0.0


def markdown_table(headers: list[str], rows: list[list[Any]]) -> str:
    """A preview. Cells hold scraped and typed text: what Markdown or HTML would read is escaped."""
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(headers)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


_CELL_CHARACTERS = 300
_ESCAPES = str.maketrans(
    {c: f"\\{c}" for c in "\\`*_{}[]()#!|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = " ".join(str(value).split())
    # A message ends with what to do about it, which has to be read too.
    shown = text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"
    return shown.translate(_ESCAPES)
