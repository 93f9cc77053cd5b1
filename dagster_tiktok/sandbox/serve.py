"""The three fakes together, and the environment that points the settings at them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shlex
import signal
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from dagster_tiktok.sandbox.demo_sheet import DEMO_EDITS, DEMO_POSTS, demo_rows
from dagster_tiktok.sandbox.sheets.server import SheetsServer
from dagster_tiktok.sandbox.supabase_lite.node_packages import SandboxError
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer

__all__ = ["PARTS", "Sandbox", "SandboxError", "describe", "serve_until_interrupted", "stop_event"]

PARTS = frozenset({"tiktok", "sheets", "supabase"})
MIGRATIONS = Path(__file__).resolve().parents[2] / "sql" / "migrations"
MARK = Path(__file__).with_name("supabase_lite") / "sql"
CLOCK = MIGRATIONS.with_name("sandbox")
"""The migration that lets the database's clock be moved; only the sandbox has it."""

log = logging.getLogger(__name__)


class _Server(Protocol):
    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None: ...


class Sandbox:
    """The servers of one world. Use as an async context manager; `environment` is set inside.

    Each seed and size has its own folder in `state_dir`, so that a restart finds the same world,
    the same sheet and the same database at the same ports.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        parts: Iterable[str] = PARTS,
        posts: int | None = None,
        seed: int = 7,
    ) -> None:
        posts = max(posts or DEMO_POSTS, DEMO_POSTS)
        self.folder = state_dir.resolve() / f"seed-{seed}-posts-{posts}"
        self.environment: dict[str, str] = {}
        self._parts = frozenset(parts)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._kept = _Kept(self.folder / "sandbox.json")
        self.world = World(seed, posts, now=self._kept.setdefault("now", time.time()))
        self.tiktok = TikTokServer(self.world)
        self.sheets = SheetsServer(
            demo_rows(self.world),
            seed=seed,
            edits=DEMO_EDITS,
            service_account_path=self.folder / "service_account.json",
            state_path=self.folder / "sheet.json",
        )
        self.supabase = SupabaseServer(
            self.folder / "supabase",
            MIGRATIONS,
            also=[MARK, CLOCK],
            port=int(self._kept.setdefault("supabase_port", 0)),
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Sandbox:
        try:
            for part in sorted(self._parts):
                self._lock(part)
            if "tiktok" in self._parts:
                await self._start("tiktok", self.tiktok)
                self._stack.push_async_callback(self.tiktok.close)
                self.environment |= {
                    "TIKTOK_BASE_URL": self.tiktok.url,
                    # The default of one request per second is for the real TikTok.
                    "TIKTOK_REQUESTS_PER_SECOND": "200",
                    "TIKTOK_MAX_CONCURRENCY": "8",
                    "SLIDE_ALLOWED_HOSTS": f"127.0.0.1:{self.tiktok.port}",
                }
            if "sheets" in self._parts:
                await self._start("sheets", self.sheets)
                self._stack.push_async_callback(self.sheets.close)
                self.environment |= {
                    "GOOGLE_SHEETS_CREDENTIALS": str(self.folder / "service_account.json"),
                    "GOOGLE_SHEET_URL": self.sheets.sheet_url,
                    "GOOGLE_SHEETS_API_URL": self.sheets.url,
                }
            if "supabase" in self._parts:
                await self.supabase.start()
                self._stack.push_async_callback(self.supabase.close)
                self._kept["supabase_port"] = self.supabase.port
                self.environment |= {
                    "SUPABASE_URL": self.supabase.url,
                    "SUPABASE_KEY": self.supabase.secret_key,
                }
        except BaseException:
            await self._stack.aclose()
            raise
        self.environment |= {
            "SLIDE_CACHE_DIR": str(self.folder / "slides"),
            "SLIDE_MIN_FREE_MB": "64",
        }
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    def _lock(self, part: str) -> None:
        """A second sandbox must not touch what the first one serves. Raises SandboxError."""
        lock = self._stack.enter_context((self.folder / f"{part}.lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(
                f"Another sandbox serves {part} from {self.folder}: stop it first, or choose "
                "another --state-dir or --seed."
            ) from None

    async def _start(self, name: str, server: _Server) -> None:
        """Starts at the previous port if it is free: stored rows contain URLs with that port."""
        port = int(self._kept.setdefault(f"{name}_port", 0))
        try:
            await server.start(port=port)
        except OSError:
            if not port:
                raise
            log.warning("port %d is in use: %s gets another one", port, name)
            await server.start(port=0)
        self._kept[f"{name}_port"] = server.port  # type: ignore[attr-defined]

    def write_environment(self, path: Path) -> None:
        """Writes the environment as a file of mode 600: it contains a key."""
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in self.environment.items()]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, "".join(lines))


class _Kept(dict[str, float]):
    """Numbers that are kept between starts, in a JSON file."""

    def __init__(self, path: Path) -> None:
        super().__init__(json.loads(path.read_text()) if path.exists() else {})
        self._path = path

    def __setitem__(self, name: str, value: float) -> None:
        super().__setitem__(name, value)
        write_private(self._path, json.dumps(self))

    def setdefault(self, name: str, default: float = 0) -> float:
        if name not in self:
            self[name] = default
        return self[name]


def write_private(path: Path, text: str) -> None:
    """Writes a file of mode 600, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def stop_event() -> asyncio.Event:
    """Set at Ctrl-C or SIGTERM.

    Call it before starting processes: a shell may start us with Ctrl-C ignored (`… &`). They would
    inherit that and could not be stopped.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    return stop


def serve_until_interrupted(
    *, parts: Iterable[str], posts: int | None, seed: int, env_file: Path, state_dir: Path
) -> None:
    """`dagster-tiktok sandbox`: serves and writes `env_file`, until Ctrl-C."""

    async def serve() -> None:
        stop = stop_event()
        async with Sandbox(state_dir=state_dir, parts=parts, posts=posts, seed=seed) as sandbox:
            sandbox.write_environment(env_file)
            for line in describe(sandbox):
                log.info("%s", line)
            log.info("try it:   dagster-tiktok run --env-file %s", env_file)
            log.info("Press Ctrl-C to stop.")
            await stop.wait()
        log.info("the sandbox has stopped; its data stays in %s", sandbox.folder)

    asyncio.run(serve())


def describe(sandbox: Sandbox) -> list[str]:
    """The URLs of the running servers, one per line."""
    lines = []
    if "GOOGLE_SHEET_URL" in sandbox.environment:
        lines.append(f"sheet     {sandbox.sheets.sheet_url}")
        lines.append(f"          edit it: POST {sandbox.sheets.url}/_control/rows")
    if "TIKTOK_BASE_URL" in sandbox.environment:
        post = sandbox.world.carousels(6)[0]
        lines.append(f"TikTok    {sandbox.tiktok.url}{post.video_path}")
    if "SUPABASE_URL" in sandbox.environment:
        lines.append(f"Supabase  {sandbox.supabase.url}")
    return lines
