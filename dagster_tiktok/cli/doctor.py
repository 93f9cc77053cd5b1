"""`dagster-tiktok doctor`: each dependency is tried, and what is wrong comes with its mend."""

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
    """One line: `message` says what is there, or what is wrong and how to mend it."""

    name: str
    ok: bool
    message: str
    warnings: tuple[str, ...] = ()
    """What somebody should look at, and what fails nothing."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Found:
    """What a check found: `fault` fails it, and leaves what else was found to be read."""

    message: str
    warnings: tuple[str, ...] = ()
    fault: str | None = None

    def findings(self, name: str) -> list[Finding]:
        found = Finding(name, True, self.message, self.warnings)
        return [found] if self.fault is None else [found, Finding(name, False, self.fault)]


Check = tuple[str, Callable[[Settings], "Found | str"]]


def examine(env_file: str | Path) -> list[Finding]:
    """Tries everything that a run needs, without writing anything."""
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
        Finding("settings", True, "every variable is set and well-formed"),
        *tried(checks, settings),
    ]


def tried(checks: Iterable[Check], settings: Settings) -> list[Finding]:
    """What each check found, whatever the others do."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            found = check(settings)
            findings += (Found(found) if isinstance(found, str) else found).findings(name)
        except (ConfigurationError, ServiceUnavailableError) as error:
            findings.append(Finding(name, False, str(error)))
        except Exception as error:
            # One check that fails unforeseen must not hide what the others find.
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


def _sheet(settings: Settings, sheet: SheetUrl) -> Found:
    with SheetClient(settings, sheet) as client:
        found = client.check(lambda texts, _: asyncio.run(_errors_known(settings, texts)))
    lacking = f"; no column {', '.join(found.missing_columns)}" if found.missing_columns else ""
    named = [f'{name} is "{header}"' for name, header in found.renamed_headers.items()]
    called = f"; {', '.join(named)}" if named else ""
    warnings = [*(found.protected if found.can_write else ()), *found.warnings]
    if len(warnings) > SHOWN_WARNINGS:
        warnings[SHOWN_WARNINGS:] = [f"and {len(warnings) - SHOWN_WARNINGS:,} more warnings"]
    may = "may write" if found.can_write else "would write"
    return Found(
        f"tab {printable(found.tab)!r}: headers in row {found.header_row}, {found.filled_rows} "
        f"rows, {found.ready_rows} ready, {found.client_email} {may} "
        f"{', '.join(found.written_columns)}{called}{lacking}",
        tuple(warnings),
        # One protected row is skipped by a run; where each is, nothing would be answered.
        None if found.can_write else f"GOOGLE_SHEET_URL: {'; '.join(found.protected)}.",
    )


async def _errors_known(settings: Settings, texts: Collection[str]) -> Collection[str]:
    """Which texts under `Error` are the pipeline's."""
    try:
        async with open_ledger(settings, owner=uuid4(), starting=True) as ledger:
            return await ledger.written_errors(texts, [])
    except (ConfigurationError, ServiceUnavailableError):
        # The database has a line of its own, which says so: the sheet is not to blame for it.
        return texts


async def _database(settings: Settings) -> str:
    async with open_ledger(settings, owner=uuid4(), starting=True):
        # Opening calls functions that only a secret key may call, so the key's right is shown.
        return f"migration {SCHEMA_VERSION:03} is there, and the key may write"


async def _ledger(settings: Settings) -> str:
    async with open_ledger(settings, owner=uuid4(), starting=True) as ledger:
        elsewhere = await ledger.elsewhere()
    # No failure: several deployments may share a database.
    return printable("; ".join(map(str, elsewhere))) or (
        "every row that waits is of a sheet in GOOGLE_SHEET_URL"
    )


async def _clock(settings: Settings) -> str:
    async with open_ledger(settings, owner=uuid4(), starting=True) as ledger:
        before = utc_now()
        clock = await ledger.clock()
        ahead = skew(before, clock.now, utc_now())
    if problem := movable_clock(clock, is_local=_is_local(settings.supabase_url)):
        raise ConfigurationError(problem)
    if abs(ahead) > MAX_SKEW:
        moved = (
            f" The sandbox's clock is moved by {clock.ahead_seconds:.0f} seconds."
            if clock.is_sandbox
            else ""
        )
        raise ConfigurationError(
            f"this machine's clock is {describe_skew(ahead)} the database's "
            f"({clock.now:%Y-%m-%d %H:%M:%S} UTC), by which days are decided: set it "
            f"(timedatectl set-ntp true), or Google will not let it sign in.{moved}"
        )
    return f"agrees with the database's; in {settings.pipeline_timezone} it is {clock.today}"


def movable_clock(clock: DatabaseClock, *, is_local: bool) -> str | None:
    """What is wrong with the database's clock: only a sandbox's, which is local, can be moved."""
    if clock.is_sandbox and not is_local:
        what = "has the schema sandbox, with which whoever has the key can move its clock"
    elif clock.ahead_seconds and not clock.is_sandbox:
        what = "has another private.current_instant() than the migrations"
    else:
        return None
    return (
        f"the database at SUPABASE_URL {what}, by which days are decided (it is moved by "
        f"{clock.ahead_seconds:.0f} seconds): in the SQL editor, first run `create or replace "
        "function private.current_instant()` with the text of "
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
    # The pipeline uploads with the secret key, which needs no policy: not a failure.
    lacking = "".join(
        f'; the policy "{name}" on storage.objects is missing, so signed-in users cannot upload: '
        "run sql/migrations/016_create_storage_policy.sql in the dashboard's SQL editor"
        for name in missing
    )
    return f"bucket {settings.supabase_bucket!r} is there and public{lacking}"


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
            f"SLIDE_CACHE_DIR {str(folder)!r} cannot be written ({error.strerror}): choose "
            "another folder or mend its rights."
        ) from error
    if free < settings.slide_min_free_mb:
        raise ConfigurationError(
            f"SLIDE_CACHE_DIR has {free} MB free, SLIDE_MIN_FREE_MB asks for "
            f"{settings.slide_min_free_mb}: free some space or lower it."
        )
    return f"{free} MB free for the slide cache in {str(folder)!r}"
