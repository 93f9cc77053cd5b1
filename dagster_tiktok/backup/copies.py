"""Writes a backup, restores it, and compares a database with it.

A backup is two files: `x.dump`, written by pg_dump, and `x.dump.json`, its manifest, read in the
snapshot that the dump was taken in. Restoring is one transaction that ends with the comparison:
afterwards the database holds the backup, or what it held before.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import islice, takewhile
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql
from pydantic import ValidationError

from dagster_tiktok.backup.database import Connection, program, transaction
from dagster_tiktok.backup.manifest import (
    BackupError,
    Manifest,
    TableCounts,
    manifest_path,
    schema_problem,
    verdict,
)

# Extensions bring rows of their own, which pg_dump leaves out.
_TABLES = """
    select n.nspname, c.relname from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('public', 'private') and c.relkind = 'r' and not exists (
      select from pg_catalog.pg_depend as d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
    order by n.nspname desc, c.relname
"""
# A sum does not depend on the order of the rows, and md5 is the same on every server.
_FIGURES = """
    select count(*), coalesce(sum(('x' || left(md5((r.*)::text), 16))::bit(64)::bigint), 0)::text
    from {} as r
"""
_PRIVATE = "private."
_SCHEMAS = ("--schema=public", "--schema=private")
_ROWS_A_WRITE = 1000
Tell = Callable[[str], object]
"""Shows a line to the user."""


def back_up(parameters: Mapping[str, str], dump: Path) -> Manifest:
    """Writes `dump` and its manifest; a file gets its name only when it is complete."""
    for path in (dump, manifest_path(dump)):
        if path.exists():
            raise BackupError(f"{path} exists already.")
    dump.parent.mkdir(parents=True, exist_ok=True)
    with _written(dump) as file, transaction(parameters, read_only=True) as connection:
        version = _schema_version(connection)
        ((snapshot,),) = connection.execute("select pg_export_snapshot()").fetchall()
        # By name: a file that is its standard output gets twice as large.
        options = ("--format=custom", *_SCHEMAS, "--no-password", f"--file={file.name}")
        with program("pg_dump", *options, f"--snapshot={snapshot}", parameters=parameters):
            tables = {name: _metrics(connection, name) for name in _tables(connection)}
        manifest = Manifest(
            created_at=datetime.now(timezone.utc),
            schema_version=version,
            dump_sha256=_sha256(Path(file.name)),
            tables=tables,
        )
        with _written(manifest_path(dump)) as beside:
            beside.write(manifest.model_dump_json(indent=2).encode() + b"\n")
    return manifest


def restore(parameters: Mapping[str, str], dump: Path, tell: Tell, *, replace: bool) -> None:
    """Fills a database that has the migrations and empty tables.

    Arguments:
        replace: whether rows that are there are removed first, in the same transaction.
    """
    manifest = _read_manifest(dump)
    if _sha256(dump) != manifest.dump_sha256:
        raise BackupError(f"{dump} does not match its manifest: it was truncated or changed.")
    with transaction(parameters, read_only=False) as connection:
        _check_schema(connection, manifest)
        try:
            # Triggers would add to the audit log. Hosted Supabase allows its role postgres this
            # statement, but neither the same by PGOPTIONS nor what --disable-triggers does.
            connection.execute("set local session_replication_role = replica")
        except psycopg.errors.InsufficientPrivilege:
            raise BackupError(
                "The role of SUPABASE_DB_URL may not set session_replication_role, which keeps "
                "triggers from firing: use the role postgres."
            ) from None
        tables = sql.SQL(", ").join(_identifier(name) for name in manifest.tables)
        action = "truncate table {}" if replace else "lock table {} in exclusive mode"
        connection.execute(sql.SQL(action).format(tables))
        if filled := [name for name in manifest.tables if _has_rows(connection, name)]:
            raise BackupError(
                f"{', '.join(filled)}: not empty. Restore into an empty project, or replace what "
                "is there (make restore FILE=… REPLACE=yes)."
            )
        _load(connection, dump)
        if differing := _compare(connection, manifest, tell):
            raise BackupError(f"Not as in the backup: {differing}. Nothing was restored.")


def compare(parameters: Mapping[str, str], dump: Path, tell: Tell) -> None:
    """Compares each table with the backup. Raises BackupError if one differs."""
    manifest = _read_manifest(dump)
    with transaction(parameters, read_only=True) as connection:
        _check_schema(connection, manifest)
        if differing := _compare(connection, manifest, tell):
            raise BackupError(f"Not as in the backup: {differing}.")


def _load(connection: Connection, dump: Path) -> None:
    """Plays pg_restore's script in this transaction: statements, and the rows after each COPY."""
    options = ("--data-only", "--file=-", str(dump))
    with program("pg_restore", *options, parameters={}) as process:
        lines = iter(process.stdout or ())
        statements = b""
        for line in lines:
            if line.startswith(b"COPY "):
                connection.execute(statements)
                statements = b""
                rows = takewhile(lambda row: row != b"\\.\n", lines)
                with connection.cursor().copy(line) as copy:
                    while piece := b"".join(islice(rows, _ROWS_A_WRITE)):
                        copy.write(piece)
            elif not line.startswith(b"\\"):  # those are for psql
                statements += line
        connection.execute(statements)


def _compare(connection: Connection, manifest: Manifest, tell: Tell) -> str:
    """The names of the tables that differ."""
    differing = []
    width = max(map(len, manifest.tables), default=0)
    for name, expected in manifest.tables.items():
        found = _metrics(connection, name)
        tell(f"{name:<{width}}  {verdict(expected, found)}")
        if found != expected:
            differing.append(name)
    return ", ".join(differing)


def _metrics(connection: Connection, table: str) -> TableCounts:
    query = sql.SQL(_FIGURES).format(_identifier(table))
    ((rows, checksum),) = connection.execute(query).fetchall()
    return TableCounts(rows=rows, checksum=checksum)


def _has_rows(connection: Connection, table: str) -> bool:
    query = sql.SQL("select exists (select from {})").format(_identifier(table))
    ((has_rows,),) = connection.execute(query).fetchall()
    return bool(has_rows)


def _tables(connection: Connection) -> list[str]:
    """Names as the manifest has them: those of `private` with their schema."""
    tables = connection.execute(_TABLES).fetchall()
    return [name if schema == "public" else f"{schema}.{name}" for schema, name in tables]


def _identifier(table: str) -> sql.Identifier:
    # A table of one's own in `public` may have a point in its name; it does not begin like this.
    if table.startswith(_PRIVATE):
        return sql.Identifier("private", table.removeprefix(_PRIVATE))
    return sql.Identifier("public", table)


def _schema_version(connection: Connection) -> int:
    try:
        ((version,),) = connection.execute("select public.schema_version() -> 'version'").fetchall()
    except psycopg.errors.UndefinedFunction:
        raise BackupError(
            "The database at SUPABASE_DB_URL lacks the migrations: apply them with supabase db "
            "push, see docs/set-up-supabase.md."
        ) from None
    return int(version)


def _check_schema(connection: Connection, manifest: Manifest) -> None:
    problem = schema_problem(manifest, _schema_version(connection), _tables(connection))
    if problem:
        raise BackupError(problem)


def _read_manifest(dump: Path) -> Manifest:
    path = manifest_path(dump)
    for file in (dump, path):
        if not file.is_file():
            raise BackupError(f"{file} is missing: a backup is {dump.name} and {path.name}.")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError:
        raise BackupError(f"{path} is not the manifest of a backup, or was changed.") from None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file with mode 600 that gets its name when it is complete and on disk."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f"{path.name}.", suffix=".partial", delete=False
    ) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
