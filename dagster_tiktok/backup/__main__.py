"""`python -m dagster_tiktok.backup`: backup, restore and compare.

Exit status: 0 done, and equal; 1 it is not, and why; 2 SUPABASE_DB_URL is wrong.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import click
import psycopg

from dagster_tiktok.backup import copies
from dagster_tiktok.backup.database import ProgramFailed, load_parameters
from dagster_tiktok.backup.manifest import BackupError
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailable

_ENV_FILE = click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings, under the real variables.  [default: .env]",
)
_DUMP = click.argument("dump", type=click.Path(path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Copies of the database at SUPABASE_DB_URL, the direct address."""


@main.command()
@click.option(
    "--file", "dump", type=click.Path(path_type=Path), help="[default: backups/<UTC time>.dump]"
)
@_ENV_FILE
def backup(dump: Path | None, env_file: Path | None) -> None:
    """Writes the schemas public and private with their rows to a file, and a manifest beside it."""
    dump = dump or Path("backups", f"{datetime.now(timezone.utc):%Y-%m-%dT%H%M%SZ}.dump")
    manifest = copies.back_up(load_parameters(env_file or ".env"), dump)
    rows = sum(table.rows for table in manifest.tables.values())
    click.echo(
        f"{dump}: {len(manifest.tables)} tables, {rows:,} rows, "
        f"{dump.stat().st_size / 1e6:,.1f} MB, schema version {manifest.schema_version}"
    )


@main.command()
@_DUMP
@click.option("--replace", is_flag=True, help="Remove the rows that are there.")
@_ENV_FILE
def restore(dump: Path, replace: bool, env_file: Path | None) -> None:
    """Fills the tables with a backup's rows: all, shown to be equal, or nothing."""
    parameters = load_parameters(env_file or ".env")
    copies.restore(parameters, dump, click.echo, replace=replace)
    click.echo(f"Restored into {parameters.get('dbname')} on {parameters.get('host')}.")


@main.command()
@_DUMP
@_ENV_FILE
def compare(dump: Path, env_file: Path | None) -> None:
    """Shows of every table whether it is as in a backup."""
    copies.compare(load_parameters(env_file or ".env"), dump, click.echo)


if __name__ == "__main__":
    try:
        main(prog_name="python -m dagster_tiktok.backup")
    except ConfigurationError as error:
        problem, status = str(error), 2
    except psycopg.Error as error:
        problem, status = f"The database refused: {str(error).splitlines()[0]}", 1
    except OSError as error:
        problem, status = f"{error.filename}: {error.strerror}", 1
    except (BackupError, ProgramFailed, ServiceUnavailable) as error:
        problem, status = str(error), 1
    click.echo(f"backup: {problem}", err=True)
    sys.exit(status)
