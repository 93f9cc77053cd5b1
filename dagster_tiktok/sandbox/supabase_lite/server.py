"""A local Supabase: `@supabase/lite`, which serves Supabase's APIs over a real PostgreSQL.

Supabase's own program (Apache-2.0, alpha) over PGlite. REST, functions, row level security and
storage behave like the hosted ones.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from dagster_tiktok.sandbox.supabase_lite.node_packages import SandboxError, install_packages
from dagster_tiktok.sandbox.supabase_lite.project import Keys, LiteProject

START_SECONDS = 240.0
"""It takes two seconds; on a busy machine, a minute."""
STOP_SECONDS = 10.0
_PORT_ATTEMPTS = 3


def default_cache_dir() -> Path:
    """`.sandbox` of the project: beside the package in a checkout, else in the working folder."""
    project = Path(__file__).resolve().parents[3]
    return (project if (project / "pyproject.toml").exists() else Path.cwd()) / ".sandbox"


class SupabaseServer:
    """Serves a Supabase with the given migrations until it is closed.

    The server is a separate process. It stops with `close`, or by itself when this process ends.
    It does not belong to an event loop: one `asyncio.run` can start it and another close it.

    Arguments:
        state_dir: keys, database and objects; kept between starts. One server at a time.
        migrations: folder of `001_name.sql` files. New ones are applied at start.
        also: further such folders, whose numbers come after those.
        port: 0 picks a free one.
        cache_dir: npm packages and database templates, shared by all servers.
    """

    def __init__(
        self,
        state_dir: Path,
        migrations: Path,
        port: int = 0,
        *,
        also: Sequence[Path] = (),
        cache_dir: Path | None = None,
    ) -> None:
        self.port = port
        self._state_dir = state_dir.absolute()
        self._folders = [folder.absolute() for folder in (migrations, *also)]
        self._cache_dir = (cache_dir or default_cache_dir()).absolute()
        self._keys: Keys | None = None
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def secret_key(self) -> str:
        return self._started_keys.secret_key

    @property
    def publishable_key(self) -> str:
        return self._started_keys.publishable_key

    @property
    def jwt_secret(self) -> str:
        """Signs the tokens of signed-in users (HS256)."""
        return self._started_keys.jwt_secret

    @property
    def log_file(self) -> Path:
        return self._state_dir / "supabase.log"

    @property
    def _started_keys(self) -> Keys:
        if self._keys is None:
            raise RuntimeError("the server has not been started")
        return self._keys

    async def start(self) -> None:
        """Returns when the server responds.

        Raises:
            SandboxError: it does not start (with the end of its log, without keys), or another
                server uses `state_dir`.
        """
        self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self._lock = await self._take_lock()
        try:
            self._keys = Keys.kept_in(self._state_dir / "keys.json")
            project = await asyncio.to_thread(self._prepare, self._keys)
            await self._serve(project, lock)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stops the server; does nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(_stop, process)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def __aenter__(self) -> SupabaseServer:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _take_lock(self) -> int:
        # Two servers on one database would corrupt it. The server's process inherits the lock and
        # holds it until it has ended too.
        lock = os.open(self._state_dir / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        deadline = time.monotonic() + STOP_SECONDS / 2
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                # The server of a process that was killed a moment ago is still stopping.
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise SandboxError(
                        f"Another sandbox uses {self._state_dir}: stop it first."
                    ) from None
                await asyncio.sleep(0.1)

    def _prepare(self, keys: Keys) -> LiteProject:
        modules = install_packages(self._cache_dir / "node")
        project = LiteProject(self._state_dir, modules, keys)
        project.migrate(self._folders, self._cache_dir / "templates")
        return project

    async def _serve(self, project: LiteProject, lock: int) -> None:
        wanted = self.port
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = wanted or _free_port()
            project.configure(self.port)
            process = self._process = self._spawn(project, lock)
            if await self._responds(process, project.keys):
                return
            self._process = None
            await asyncio.to_thread(_stop, process)
            # Another program may take the port between our check and the server's start.
            if wanted or attempt == _PORT_ATTEMPTS or "already in use" not in self._log_text():
                raise SandboxError(
                    f"The sandbox's Supabase did not start (exit {process.returncode}):\n"
                    f"{project.keys.hide(self._log_text())[-2000:]}"
                )

    def _spawn(self, project: LiteProject, lock: int) -> subprocess.Popen[bytes]:
        log = os.open(self.log_file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                project.command("start", "--no-admin"),
                cwd=project.folder,
                env=project.environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is ours to handle: the server stops last
            )
        finally:
            os.close(log)

    async def _responds(self, process: subprocess.Popen[bytes], keys: Keys) -> bool:
        """Waits until the server responds; False if it ended or took too long."""
        deadline = time.monotonic() + START_SECONDS
        timeout = aiohttp.ClientTimeout(total=5)
        headers = {"apikey": keys.secret_key}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    async with session.get(f"{self.url}/rest/v1/") as response:
                        # Only our server knows our key: no other program on this port does.
                        if response.status == 200:
                            return True
                except (aiohttp.ClientError, asyncio.TimeoutError):
                    pass  # not listening yet
                await asyncio.sleep(0.05)
        return False

    def _log_text(self) -> str:
        return self.log_file.read_text(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
