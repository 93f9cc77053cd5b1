"""The local Supabase keeps its state, protects it, and ends with the process that started it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from supabase import Client, ClientOptions, create_client

from dagster_tiktok.sandbox.supabase_lite.node_packages import SandboxError
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.pipeline import until

pytestmark = pytest.mark.node

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "sql" / "migrations"
CLOCK = ROOT / "sql" / "sandbox"
MARK = ROOT / "dagster_tiktok" / "sandbox" / "supabase_lite" / "sql"


def _client(server: SupabaseServer) -> Client:
    options = ClientOptions(auto_refresh_token=False, persist_session=False)
    return create_client(server.url, server.secret_key, options)


def _can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_locked(file: Path) -> bool:
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_data_and_keys_are_kept_across_a_restart(tmp_path: Path) -> None:
    migrations = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    state = tmp_path / "state"

    async def first() -> tuple[str, int]:
        async with SupabaseServer(state, migrations, also=[MARK, CLOCK]) as server:
            row = {"tiktok_id": "1", "post_url": "https://x/1"}
            _client(server).table("tiktok_posts").insert(row).execute()
            with pytest.raises(SandboxError, match="Another sandbox uses"):
                await SupabaseServer(state, migrations, also=[MARK, CLOCK]).start()
            _client(server).rpc("sandbox_clock", {"p": {"by_seconds": 86_400}}).execute()
            return server.secret_key, server.port

    async def second() -> str:
        async with SupabaseServer(state, migrations, also=[MARK, CLOCK]) as server:
            posts = _client(server).table("tiktok_posts").select("va_url,note").execute()
            assert posts.data == [{"va_url": None, "note": "new"}]
            clock: Any = _client(server).rpc("database_clock", {"p": {"timezone": "UTC"}})
            now = clock.execute().data["now"]
            ahead = datetime.fromisoformat(now) - datetime.now(timezone.utc)
            assert ahead > timedelta(hours=23), "the sandbox's own migration still holds"
            return server.secret_key

    key, port = asyncio.run(first())
    assert not _can_connect(port)
    # The next migration of the project has a lower number than the sandbox's, which is there.
    later = "alter table public.tiktok_posts add column note text default 'new';"
    (migrations / "898_add_note.sql").write_text(later)
    assert asyncio.run(second()) == key

    for name in ("keys.json", "supabase.log"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
    assert key not in (state / "supabase" / "config.toml").read_text()
    (migrations / "898_add_note.sql").write_text("select 1;")
    with pytest.raises(SandboxError, match="898_add_note"):
        asyncio.run(second())


def test_the_error_of_a_wrong_migration_is_shown(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "001_wrong.sql").write_text("create tabel t ();")

    server = SupabaseServer(tmp_path / "state", tmp_path / "migrations")
    with pytest.raises(SandboxError, match='syntax error at or near "tabel"'):
        asyncio.run(server.start())


def test_a_port_in_use_is_reported_without_keys(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = SupabaseServer(tmp_path / "state", MIGRATIONS, taken.getsockname()[1])
        with pytest.raises(SandboxError, match="already in use") as failure:
            asyncio.run(server.start())

    assert server.secret_key not in str(failure.value)


def test_a_server_whose_parent_is_killed_ends_and_can_start_again(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, time, pathlib\n"
        "from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer\n"
        "server = SupabaseServer(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "asyncio.run(server.start())\n"
        "print(server.port, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "state"), str(MIGRATIONS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert _can_connect(port)
        parent.send_signal(signal.SIGKILL)

    async def again() -> int:
        async with SupabaseServer(tmp_path / "state", MIGRATIONS, port) as server:
            response = _client(server).rpc("schema_version", {"p": {}}).execute()
            return len(str(response.data))

    # Its process holds the lock until it is gone, which a busy machine may take seconds for.
    until(lambda: not _can_connect(port) and not _is_locked(tmp_path / "state" / "lock"))
    assert asyncio.run(again()) > 0
