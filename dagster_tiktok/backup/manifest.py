"""The manifest of a backup, and the checks that use it. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt


class BackupError(Exception):
    """Nothing was backed up or restored, or a copy differs. The message says why."""


class TableCounts(BaseModel):
    """The rows of a table, and a checksum that does not depend on their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: NonNegativeInt
    checksum: str


class Manifest(BaseModel):
    """The file beside a dump: what the database contained in the snapshot of the dump."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    created_at: datetime
    schema_version: int
    dump_sha256: str
    tables: dict[str, TableCounts]


def manifest_path(dump: Path) -> Path:
    return dump.with_name(f"{dump.name}.json")


def schema_problem(manifest: Manifest, version: int, tables: Collection[str]) -> str | None:
    """Why a database of that version and with those tables cannot take the backup, or None."""
    if version != manifest.schema_version:
        return (
            f"The backup is of schema version {manifest.schema_version}, the database at "
            f"SUPABASE_DB_URL is at {version}: see docs/back-up.md, 'Restore an older backup'."
        )
    if lacking := sorted(set(manifest.tables) - set(tables)):
        return f"The database at SUPABASE_DB_URL has no table {', '.join(lacking)}: create it."
    return None


def verdict(expected: TableCounts, found: TableCounts) -> str:
    """The result of comparing one table, as text."""
    if found.rows != expected.rows:
        return f"{found.rows:,} rows, the backup has {expected.rows:,}"
    return f"{found.rows:,} rows, checksum {'equal' if found == expected else 'differs'}"
