"""`dagster-tiktok doctor`: checks every dependency, and says how to fix what is wrong."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from dagster_tiktok.clock import MAX_SKEW, describe_skew, skew, utc_now
from dagster_tiktok.database.functions import SCHEMA_VERSION, DatabaseClock, open_database
from dagster_tiktok.database.ledger import open_ledger
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError, UnexpectedError
from dagster_tiktok.settings import Settings, load_settings
from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok.sheet.urls import SheetUrl
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.text import printable
from dagster_tiktok.tiktok.client import TikTokClient

log = logging.getLogger(__name__)

SHOWN_WARNINGS = 20


@dataclass(frozen=True)
class Finding:
    """One line of output: `message` says what was found, or what is wrong and how to fix it."""

    name: str
    ok: bool
    message: str
    warnings: tuple[str, ...] = ()
    """Things for an operator to look at. They do not fail the check."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CheckResult:
    """The result of a check. A `problem` fails it; `message` is shown all the same."""

    message: str
    warnings: tuple[str, ...] = ()
    problem: str | None = None

    def findings(self, name: str) -> list[Finding]:
        found = Finding(name, True, self.message, self.warnings)
        return [found] if self.problem is None else [found, Finding(name, False, self.problem)]


Check = tuple[str, Callable[[Settings], "CheckResult | str"]]


def check_everything(env_file: str | Path) -> list[Finding]:
    """Checks everything that a run needs. Writes nothing."""
    try:
        settings = load_settings(env_file)
    except ConfigurationError as error:
        return [Finding("settings", False, str(error))]
    checks: list[Check] = [
        *_sheets(settings),
        ("database", lambda s: asyncio.run(_database(s))),
        ("ledger", lambda s: asyncio.run(_ledger(s))),
        ("clock", lambda s: asyncio.run(_clock(s))),
        ("bucket", lambda s: asyncio.run(_bucket(s))),
        ("tiktok", lambda s: asyncio.run(_tiktok(s))),
        ("disk", _disk),
    ]
    return [
        Finding("settings", True, "all required variables are set, and all values are valid"),
        *run_checks(checks, settings),
    ]


def run_checks(checks: Iterable[Check], settings: Settings) -> list[Finding]:
    """Runs all checks, even if some of them fail."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            result = check(settings)
            if isinstance(result, str):
                result = CheckResult(result)
            findings += result.findings(name)
        except (ConfigurationError, ServiceUnavailableError) as error:
            findings.append(Finding(name, False, str(error)))
        except Exception as error:
            # A bug in one check must not hide what the others find.
            log.exception("doctor: the check %s failed", name)
            findings.append(Finding(name, False, str(UnexpectedError(error))))
    return findings


def _sheets(settings: Settings) -> list[Check]:
    return [
        (
            "sheet" if sheet.of == 1 else f"sheet {sheet.number}",
            lambda settings, sheet=sheet: _sheet(settings, sheet),  # type: ignore[misc]
        )
        for sheet in settings.sheets
    ]


def _sheet(settings: Settings, sheet: SheetUrl) -> CheckResult:
    with SheetClient(settings, sheet) as client:
        found = client.check(lambda texts, _: asyncio.run(_errors_known(settings, texts)))
    missing = f"; missing columns: {', '.join(found.missing_columns)}"
    names = ", ".join(f'{name} is "{header}"' for name, header in found.renamed_headers.items())
    warnings = [*(found.protected if found.can_write else ()), *found.warnings]
    if len(warnings) > SHOWN_WARNINGS:
        warnings[SHOWN_WARNINGS:] = [f"and {len(warnings) - SHOWN_WARNINGS:,} more warnings"]
    may = "may write" if found.can_write else "would write"
    return CheckResult(
        f"tab {printable(found.tab)!r}: headers in row {found.header_row}, {found.filled_rows} "
        f"rows, {found.ready_rows} ready, {found.client_email} {may} "
        f"{', '.join(found.written_columns)}{f'; {names}' if names else ''}"
        f"{missing if found.missing_columns else ''}",
        tuple(warnings),
        # A run skips one protected row. If all rows are protected, it can write nothing.
        None if found.can_write else f"GOOGLE_SHEET_URL: {'; '.join(found.protected)}.",
    )


async def _errors_known(settings: Settings, texts: Collection[str]) -> Collection[str]:
    """Which texts in the column `Error` the pipeline wrote."""
    try:
        async with open_ledger(settings, owner=uuid4(), starting=True) as ledger:
            return await ledger.written_errors(texts, [])
    except (ConfigurationError, ServiceUnavailableError):
        # The check of the database reports this; it is not the sheet's fault.
        return texts


async def _database(settings: Settings) -> str:
    async with open_ledger(settings, owner=uuid4(), starting=True):
        # Opening calls functions that only a secret key may call, which proves the key's rights.
        return f"migration {SCHEMA_VERSION:03} is applied, and the key may write"


async def _ledger(settings: Settings) -> str:
    async with open_ledger(settings, owner=uuid4(), starting=True) as ledger:
        elsewhere = await ledger.elsewhere()
    # Not a failure: several deployments may share a database.
    return printable("; ".join(map(str, elsewhere))) or (
        "all waiting rows belong to sheets in GOOGLE_SHEET_URL"
    )


async def _clock(settings: Settings) -> str:
    async with open_ledger(settings, owner=uuid4(), starting=True) as ledger:
        before = utc_now()
        clock = await ledger.clock()
        ahead = skew(before, clock.now, utc_now())
    if problem := clock_problem(clock, is_local=_is_local(settings.supabase_url)):
        raise ConfigurationError(problem)
    if abs(ahead) > MAX_SKEW:
        moved = (
            f" The sandbox's clock was moved by {clock.ahead_seconds:.0f} seconds."
            if clock.is_sandbox
            else ""
        )
        raise ConfigurationError(
            f"this machine's clock is {describe_skew(ahead)} the database's "
            f"({clock.now:%Y-%m-%d %H:%M:%S} UTC), which decides what day it is. Set this "
            "machine's clock (timedatectl set-ntp true): with a wrong one, Google rejects the "
            f"sign-in.{moved}"
        )
    return f"same as the database's; it is {clock.today} in {settings.pipeline_timezone}"


def clock_problem(clock: DatabaseClock, *, is_local: bool) -> str | None:
    """What is wrong with the database's clock: only a local sandbox may have one that moves."""
    if clock.is_sandbox and not is_local:
        what = "has the schema sandbox, so anyone with the key can move its clock"
    elif clock.ahead_seconds and not clock.is_sandbox:
        what = "has another private.current_instant() than the migrations"
    else:
        return None
    return (
        f"the database at SUPABASE_URL {what} (moved by {clock.ahead_seconds:.0f} seconds now). "
        "That clock decides what day it is. To fix it, run in the SQL editor: first `create or "
        "replace function private.current_instant()` as in "
        "sql/migrations/007_create_scrape_units.sql, then `drop schema if exists sandbox cascade; "
        "drop function if exists public.sandbox_clock(jsonb)`."
    )


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


async def _bucket(settings: Settings) -> str:
    async with open_slide_store(settings) as store:
        await store.check()
    async with open_database(settings) as database:
        missing = (await database.call("missing_policies"))["missing"]
    # Not a failure: the pipeline uploads with the secret key, which needs no policy.
    policies = "".join(
        f'; the policy "{name}" on storage.objects is missing, so signed-in users cannot upload: '
        "run sql/migrations/016_create_storage_policy.sql in the dashboard's SQL editor"
        for name in missing
    )
    return f"bucket {settings.supabase_bucket!r} exists and is public{policies}"


async def _tiktok(settings: Settings) -> str:
    async with TikTokClient(settings) as client:
        return await client.check()


def _disk(settings: Settings) -> str:
    folder = settings.slide_cache_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free // 2**20
    except OSError as error:
        raise ConfigurationError(
            f"SLIDE_CACHE_DIR {str(folder)!r} is not writable ({error.strerror}): choose another "
            "folder or fix its permissions."
        ) from error
    if free < settings.slide_min_free_mb:
        raise ConfigurationError(
            f"the disk of SLIDE_CACHE_DIR has {free} MB free, but SLIDE_MIN_FREE_MB is "
            f"{settings.slide_min_free_mb}: free some space or lower the setting."
        )
    return f"{free} MB free for the slide cache in {str(folder)!r}"
