"""`make dev`: the sandbox and the Dagster UI with schedules and sensors, until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from pathlib import Path

from dagster_tiktok.sandbox.serve import Sandbox, describe, stop_event

HOME = Path(".dagster")
PORT = 3000
STOP_SECONDS = 30
INSTANCE_FILE = Path(__file__).with_name("dagster.yaml")

log = logging.getLogger(__name__)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    home = HOME.resolve()
    home.mkdir(exist_ok=True)
    shutil.copyfile(INSTANCE_FILE, home / "dagster.yaml")
    return asyncio.run(_serve(home))


async def _serve(home: Path) -> int:
    stop = stop_event()
    async with Sandbox(state_dir=Path(".sandbox")) as sandbox:
        sandbox.write_environment(Path(".sandbox/env"))
        for line in describe(sandbox):
            log.info("%s", line)
        log.info("Dagster   http://localhost:%d\nCtrl-C ends it.", PORT)
        dagster = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("dagster")),
            *("dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(PORT)),
            env={**os.environ, **sandbox.environment, "DAGSTER_HOME": str(home)},
            start_new_session=True,
        )
        stopping = asyncio.ensure_future(stop.wait())
        ended = asyncio.ensure_future(dagster.wait())
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            return dagster.returncode or 0
        # Once, and to the parent alone: it ends its web server, daemon and code server.
        dagster.terminate()
        try:
            await asyncio.wait_for(ended, STOP_SECONDS)
        except asyncio.TimeoutError:
            os.killpg(dagster.pid, signal.SIGKILL)
        return 0


if __name__ == "__main__":
    sys.exit(main())
