"""The report of a run: lines for an operator, JSON for a script."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timezone
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from dagster_tiktok.assets.attention import counted
from dagster_tiktok.cli.run import RunOutcome
from dagster_tiktok.models import RUN_METRICS, BatchSummary, RepeatedRow, UnitError
from dagster_tiktok.text import printable

LISTED = 20
_LINKS_A_REASON = 3


def as_json_object(outcome: RunOutcome) -> dict[str, Any]:
    """The object that `dagster-tiktok run --json` prints last. Its keys are fixed."""
    summary = outcome.summary
    return {
        "batch_id": str(summary.batch_id),
        "partition": summary.partition_date.isoformat(),
        **{name: getattr(summary, name) for name in RUN_METRICS},
        "errors": [
            *({"error": message} for message in outcome.failures),
            *(error.model_dump(mode="json") for error in summary.errors),
        ],
        "warnings": [notice.model_dump() for notice in outcome.notices],
        "repeated_rows": [row.model_dump() for row in summary.repeated],
        "waiting_elsewhere": [sheet.model_dump(mode="json") for sheet in summary.elsewhere],
    }


def print_outcome(outcome: RunOutcome, *, file: TextIO) -> None:
    """Prints the metrics, what failed, is unfinished or not written, and what ended the run.

    Each kind has at most LISTED lines, and then a line with the number of further ones.
    """
    console = Console(file=file, highlight=False, soft_wrap=True)
    summary = outcome.summary
    console.print(Text(headline(summary)))
    errors = summary.errors
    _list(console, _failed(errors), "reasons")
    unfinished = [e for e in errors if e.state != "done" and e.error and not e.unanswered_since]
    _list(console, (f"{_until(error)}: {describe(error)}" for error in unfinished), "with a reason")
    blocked = [error for error in errors if error.unanswered_since]
    texts = (f"row not written, needs your help: {describe(error)}" for error in blocked)
    _list(console, texts, "rows")
    partly = [e for e in errors if e.state == "done" and e.outcome == "scraped"]
    texts = (f"row not fully written: {describe(error)}" for error in partly)
    _list(console, texts, "rows")
    if outcome.notice_counts:
        counts = f"in the sheet: {counted(outcome.notice_counts)} (see --json)"
        console.print(Text(f"  {counts}", style="yellow"))
    listed = [notice for notice in outcome.notices if notice.is_listed]
    texts = (f"check the sheet: {notice}" for notice in listed)
    _list(console, texts, "notices")
    texts = (f"same post twice: {_repeated(row, outcome)}" for row in summary.repeated)
    _list(console, texts, "rows")
    texts = (f"another sheet: {printable(str(sheet))}" for sheet in summary.elsewhere)
    _list(console, texts, "sheets")
    waiting = summary.unfinished - len(unfinished)
    if waiting > 0:
        console.print(Text(f"  {waiting} more are unfinished: run again to continue"))
    for message in outcome.failures:
        console.print(Text(f"  {printable(message)}", style="red"))


def _list(console: Console, texts: Iterable[str], what: str) -> None:
    lines = list(texts)
    for text in lines[:LISTED]:
        console.print(Text(f"  {text}", style="yellow"))
    if len(lines) > LISTED:
        console.print(Text(f"  and {len(lines) - LISTED} more {what} (see --json)"))


def _failed(errors: Iterable[UnitError]) -> list[str]:
    """The first and daily scrapes that ended without a post, grouped by reason if many."""
    by_reason: dict[str, list[str]] = {}
    for error in errors:
        if error.state == "done" and error.outcome in ("unavailable", "expired"):
            day = f" (day {error.slot})" if error.slot else ""
            reason = error.error or f"is {error.outcome}"
            by_reason.setdefault(reason, []).append(f"{error.source_key}{day}")
    if sum(map(len, by_reason.values())) <= LISTED:
        pairs = ((name, reason) for reason, names in by_reason.items() for name in names)
        return [printable(f"failed: {name}: {reason}") for name, reason in pairs]
    most_first = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    return [
        printable(f"failed: {len(names)} x {reason}: {_some(names)}")
        for reason, names in most_first
    ]


def _some(names: list[str]) -> str:
    rest = len(names) - _LINKS_A_REASON
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(names[:_LINKS_A_REASON]) + more


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
        f"{row.source_key}{here} was written; the post's VA, Creator and Set ID come from "
        f"{first}{there}, which was first"
    )


def headline(summary: BatchSummary) -> str:
    """The first line: the day and its metrics."""
    day = summary.partition_date
    unread = len(summary.sheets_failed)
    if unread and summary.urls_processed == 0 and summary.unfinished == 0:
        sheets = "1 sheet" if unread == 1 else f"{unread} sheets"
        return f"{day}: {sheets} could not be read or written; nothing else is due."
    if summary.urls_processed == 0 and summary.unfinished == 0:
        return f"{day}: nothing is due. No page fetched, no slide downloaded, no cell written."
    return (
        f"{day}: {summary.succeeded} succeeded, {summary.unavailable} unavailable, "
        f"{summary.expired} expired, {summary.unfinished} unfinished; "
        f"{summary.slides_downloaded} slides downloaded, {summary.slides_uploaded} uploaded "
        f"({summary.bytes_downloaded / 1e6:.1f} MB) in {summary.duration_seconds:.1f} s."
        + (f" {unread} of the sheets could not be read or written." if unread else "")
    )


def describe(error: UnitError) -> str:
    day = f" (day {error.slot})" if error.slot else ""
    return printable(f"{error.source_key}{day}: {error.error or f'is {error.state}'}")
