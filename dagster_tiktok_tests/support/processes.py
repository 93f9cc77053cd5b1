"""For end-to-end tests: a sandbox in a thread of its own, and the command line as a process."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from click.testing import CliRunner, Result
from supabase import Client, create_client

from dagster_tiktok.cli.main import main
from dagster_tiktok.sandbox.serve import Sandbox
from dagster_tiktok_tests.support.threads import EventLoopThread

T = TypeVar("T")
PREFIXES = ("SUPABASE_", "GOOGLE_", "TIKTOK_", "SLIDE_", "PIPELINE_", "ALERT_", "DAGSTER_")


@dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The JSON object of the last line."""
        loaded: dict[str, Any] = json.loads(self.stdout.strip().splitlines()[-1])
        return loaded


class RunningSandbox:
    """The servers, reachable from synchronous tests."""

    def __init__(self, sandbox: Sandbox, thread: EventLoopThread) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.tiktok = sandbox.tiktok
        self.sheets = sandbox.sheets
        self.environment = dict(sandbox.environment)
        self._thread = thread

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(coroutine)

    @property
    def database(self) -> Client:
        """With the secret key."""
        return create_client(self.sandbox.supabase.url, self.sandbox.supabase.secret_key)

    def rows(self, table: str, columns: str = "*") -> list[dict[str, Any]]:
        data: Any = self.database.table(table).select(columns).limit(1000).execute().data
        assert isinstance(data, list)
        return data

    @property
    def cells(self) -> list[list[str]]:
        """The sheet's cells as text, every row as wide as the header."""
        rows = [[str(cell) for cell in row] for row in self.sheets.book.tabs[0].rows]
        return [[*row, *[""] * (len(rows[0]) - len(row))] for row in rows]

    def move_clock(self, by: timedelta) -> None:
        """Moves the database's clock, by which days are decided; this machine's stays."""
        given = {"p": {"by_seconds": by.total_seconds()}}
        self.database.rpc("sandbox_clock", given).execute()

    def sheet(self) -> list[dict[str, str]]:
        """The sheet's rows by header in lower case."""
        header = [name.strip().lower() for name in self.cells[0]]
        return [dict(zip(header, row)) for row in self.cells[1:]]

    def process(self, *arguments: str, **environment: str | None) -> subprocess.Popen[str]:
        """`dagster-tiktok` with the sandbox's environment; None takes a variable away."""
        return start_command(*arguments, **{**self.environment, **environment})

    def invoke(self, *arguments: str, **environment: str | None) -> Finished:
        """The same command in this process, see `invoke_command`."""
        result = invoke_command(*arguments, **{**self.environment, **environment})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Finished(result.exit_code, result.stdout, result.stderr)

    def run(self, *arguments: str, **environment: str | None) -> Finished:
        return finished(self.process(*arguments, **environment))


def invoke_command(*arguments: str, **environment: str | None) -> Result:
    """`dagster-tiktok` in this process, which spares Dagster's import: seconds each.

    Nothing of it stays: a command sets the environment and the log of its process, and here both
    are the tests'.
    """
    loggers = [logging.getLogger(name) for name in ("dagster_tiktok", "dagster_tiktok.sheet")]
    before = [(logger, logger.level, logger.handlers) for logger in loggers]
    try:
        return CliRunner().invoke(
            main, [*arguments], env={"PIPELINE_TIMEZONE": None, **environment}
        )
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers = handlers


def start_command(*arguments: str, **environment: str | None) -> subprocess.Popen[str]:
    """`dagster-tiktok` in an environment without settings of the machine's."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(PREFIXES)}
    given = {k: v for k, v in environment.items() if v is not None}
    return subprocess.Popen(
        [sys.executable, "-m", "dagster_tiktok.cli.main", *arguments],
        env={**own, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str], timeout: float = 600) -> Finished:
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return Finished(process.returncode, stdout, stderr)


@contextmanager
def running_sandbox(folder: Path, **arguments: Any) -> Iterator[RunningSandbox]:
    """Serves until the end of the block."""
    thread = EventLoopThread()

    async def make() -> Sandbox:
        return Sandbox(state_dir=folder, **arguments)

    try:
        sandbox = thread.run(make())
        thread.run(sandbox.__aenter__(), timeout=600)
        try:
            yield RunningSandbox(sandbox, thread)
        finally:
            thread.run(sandbox.__aexit__(), timeout=600)
    finally:
        thread.close()
