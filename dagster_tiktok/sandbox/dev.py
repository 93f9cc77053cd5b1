"""`make dev`: the sandbox and the Dagster UI with schedules and sensors, until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

from dagster_tiktok.sandbox.serve import Sandbox, SandboxError, describe, stop_event

HOME = Path(".dagster")
PORT = 3000
STOP_SECONDS = 30
INSTANCE_FILE = Path(__file__).with_name("dagster.yaml")

log = logging.getLogger(__name__)


def main() -> int:
    """Returns the process's exit status. The first argument is the UI's port."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    port = int(sys.argv[1]) if len(sys.argv) > 1 else PORT
    if not _is_free(port):
        log.error(
            "port %d is in use: stop that program, or choose another port: make dev PORT=3001",
            port,
        )
        return 2
    home = HOME.resolve()
    home.mkdir(exist_ok=True)
    shutil.copyfile(INSTANCE_FILE, home / "dagster.yaml")
    try:
        return asyncio.run(_serve(home, port))
    except SandboxError as error:
        log.error("%s", error)
        return 2


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _serve(home: Path, port: int) -> int:
    stop = stop_event()
    async with Sandbox(state_dir=Path(".sandbox")) as sandbox:
        sandbox.write_environment(Path(".sandbox/env"))
        for line in describe(sandbox):
            log.info("%s", line)
        log.info(
            "Dagster   http://localhost:%d\n"
            "In another terminal:\n"
            "  .venv/bin/dagster-tiktok doctor --env-file .sandbox/env\n"
            "  .venv/bin/dagster-tiktok run --env-file .sandbox/env\n"
            "Press Ctrl-C to stop.",
            port,
        )
        dagster = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("dagster")),
            *("dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)),
            env={**os.environ, **sandbox.environment, "DAGSTER_HOME": str(home)},
            start_new_session=True,
        )
        stopping = asyncio.ensure_future(stop.wait())
        ended = asyncio.ensure_future(dagster.wait())
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            return dagster.returncode or 0
        # One signal, to the parent only: it stops its web server, daemon and code server.
        dagster.terminate()
        try:
            await asyncio.wait_for(ended, STOP_SECONDS)
        except asyncio.TimeoutError:
            os.killpg(dagster.pid, signal.SIGKILL)
        return 0


if __name__ == "__main__":
    sys.exit(main())
