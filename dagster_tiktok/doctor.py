"""`dagster-tiktok doctor`: each dependency is tried, and what is wrong comes with its mend."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from dagster_tiktok.clock import MAX_SKEW, describe_skew, skew, utc_now
from dagster_tiktok.database import SCHEMA_VERSION, open_database
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailable
from dagster_tiktok.ledger import open_ledger
from dagster_tiktok.settings import Settings, load_settings
from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok.sheet.urls import SheetUrl
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.text import printable
from dagster_tiktok.tiktok.client import TikTokClient

SHOWN_WARNINGS = 5


@dataclass(frozen=True)
class Finding:
    """One line: `message` says what is there, or what is wrong and how to mend it."""

    name: str
    ok: bool
    message: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(env_file: str | Path) -> list[Finding]:
    """Tries everything that a run needs, without writing anything."""
    try:
        settings = load_settings(env_file)
    except ConfigurationError as error:
        return [Finding("settings", False, str(error))]
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        *_sheets(settings),
        ("database", lambda s: asyncio.run(_database(s))),
        ("ledger", lambda s: asyncio.run(_ledger(s))),
        ("clock", lambda s: asyncio.run(_clock(s))),
        ("bucket", lambda s: asyncio.run(_bucket(s))),
        ("tiktok", lambda s: asyncio.run(_tiktok(s))),
        ("disk", _disk),
    ]
    findings = [Finding("settings", True, "every variable is set and well-formed")]
    for name, check in checks:
        try:
            findings.append(Finding(name, True, check(settings)))
        except (ConfigurationError, ServiceUnavailable) as error:
            findings.append(Finding(name, False, str(error)))
    return findings


def _sheets(settings: Settings) -> list[tuple[str, Callable[[Settings], str]]]:
    return [
        (
            "sheet" if sheet.of == 1 else f"sheet {sheet.number}",
            lambda settings, sheet=sheet: _sheet(settings, sheet),  # type: ignore[misc]
        )
        for sheet in settings.sheets
    ]


def _sheet(settings: Settings, sheet: SheetUrl) -> str:
    with SheetClient(settings, sheet) as client:
        found = client.check()
    lacking = f"; no column {', '.join(found.missing_columns)}" if found.missing_columns else ""
    named = [f'{name} is "{header}"' for name, header in found.other_names.items()]
    called = f"; {', '.join(named)}" if named else ""
    warnings = "".join(f"; {warning}" for warning in found.warnings[:SHOWN_WARNINGS])
    if len(found.warnings) > SHOWN_WARNINGS:
        warnings += f"; and {len(found.warnings) - SHOWN_WARNINGS} more warnings"
    return (
        f"tab {printable(found.tab)!r}: {found.filled_rows} rows, {found.ready_rows} ready, "
        f"{found.client_email} may write {', '.join(found.written_columns)}"
        f"{called}{lacking}{warnings}"
    )


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
    if abs(ahead) > MAX_SKEW:
        raise ConfigurationError(
            f"this machine's clock is {describe_skew(ahead)} the database's "
            f"({clock.now:%Y-%m-%d %H:%M:%S} UTC), by which days are decided: set it "
            "(timedatectl set-ntp true), or Google will not let it sign in."
        )
    return f"agrees with the database's; in {settings.pipeline_timezone} it is {clock.today}"


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
