"""What a person or a script reads after a run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timezone
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from dagster_tiktok.models import RUN_FIGURES, BatchSummary, RepeatedRow, UnitError
from dagster_tiktok.runner import RunOutcome
from dagster_tiktok.text import printable

LISTED = 20


def as_json_object(outcome: RunOutcome) -> dict[str, Any]:
    """The object that `dagster-tiktok run --json` prints last. Its keys are fixed."""
    summary = outcome.summary
    return {
        "batch_id": str(summary.batch_id),
        "partition": summary.partition_date.isoformat(),
        **{name: getattr(summary, name) for name in RUN_FIGURES},
        "errors": [
            *({"error": sentence} for sentence in outcome.failures),
            *(error.model_dump(mode="json") for error in summary.errors),
        ],
        "warnings": [notice.model_dump() for notice in outcome.notices],
        "repeated_rows": [row.model_dump() for row in summary.repeated],
        "waiting_elsewhere": [sheet.model_dump(mode="json") for sheet in summary.elsewhere],
    }


def print_outcome(outcome: RunOutcome, *, file: TextIO) -> None:
    """A few lines: the figures, what is unfinished or unanswered, and what ended the run."""
    console = Console(file=file, highlight=False, soft_wrap=True)
    summary = outcome.summary
    console.print(Text(headline(summary)))
    errors = summary.errors
    unfinished = [e for e in errors if e.state != "done" and e.error and not e.unanswered_since]
    _list(console, (f"{_until(error)}: {describe(error)}" for error in unfinished), "with a reason")
    blocked = [error for error in errors if error.unanswered_since]
    texts = (f"row not answered, please help: {describe(error)}" for error in blocked)
    _list(console, texts, "rows")
    partly = [e for e in errors if e.state == "done" and e.outcome == "scraped"]
    texts = (f"row not answered in full: {describe(error)}" for error in partly)
    _list(console, texts, "rows")
    texts = (f"please look at the sheet: {notice}" for notice in outcome.notices)
    _list(console, texts, "such rows")
    texts = (f"same post twice: {_repeated(row, outcome)}" for row in summary.repeated)
    _list(console, texts, "such rows")
    texts = (f"another sheet: {printable(str(sheet))}" for sheet in summary.elsewhere)
    _list(console, texts, "such sheets")
    waiting = summary.unfinished - len(unfinished)
    if waiting > 0:
        console.print(Text(f"  {waiting} wait for a further run: run again to go on"))
    for sentence in outcome.failures:
        console.print(Text(f"  {printable(sentence)}", style="red"))


def _list(console: Console, texts: Iterable[str], what: str) -> None:
    lines = list(texts)
    for text in lines[:LISTED]:
        console.print(Text(f"  {text}", style="yellow"))
    if len(lines) > LISTED:
        console.print(Text(f"  and {len(lines) - LISTED} more {what} (see --json)"))


def _until(error: UnitError) -> str:
    if error.next_try_at is None:
        return "unfinished"
    return f"waits until {error.next_try_at.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _repeated(row: RepeatedRow, outcome: RunOutcome) -> str:
    here, there = (
        f" ({outcome.sheet_names.get(source, 'another sheet')})"
        if row.source != row.first_source
        else ""
        for source in (row.source, row.first_source)
    )
    first = "a row" if row.first_key == row.source_key else f"the row {row.first_key}"
    return printable(
        f"{row.source_key}{here} was answered; VA, Creator and Set ID are those of {first}{there}, "
        "which came first"
    )


def headline(summary: BatchSummary) -> str:
    """The day in one sentence."""
    day = summary.partition_date
    if summary.urls_processed == 0 and summary.unfinished == 0:
        return f"{day}: nothing is due: no page fetched, no slide downloaded, no cell written."
    return (
        f"{day}: {summary.succeeded} succeeded, {summary.unavailable} unavailable, "
        f"{summary.expired} expired, {summary.unfinished} unfinished; "
        f"{summary.slides_downloaded} slides downloaded, {summary.slides_uploaded} uploaded "
        f"({summary.bytes_downloaded / 1e6:.1f} MB) in {summary.duration_seconds:.1f} s."
    )


def describe(error: UnitError) -> str:
    look = f" (day {error.slot})" if error.slot else ""
    return printable(f"{error.source_key}{look}: {error.error or f'is {error.state}'}")
