"""Moves posts in a process of its own, whose memory and limits can be measured.

`python -m dagster_tiktok_tests.support.slide_mover` reads an `Order` as JSON and prints `Moved`, a
line for each round.
"""

from __future__ import annotations

import asyncio
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dagster_tiktok.models import Post, StoredSlide
from dagster_tiktok.settings import Settings, load_settings
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.mover import SlideMover
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.slides.stream import Timeouts


class Order(BaseModel):
    """What to move, and under which limits.

    Arguments:
        ballast: a file of so many bytes lies on the disk for the first round, and is gone in a
            second one.
        file_bytes: what a file of the process may hold in the first round (RLIMIT_FSIZE).
    """

    settings: dict[str, Any]
    posts: tuple[Post, ...]
    idle_seconds: float = 20.0
    total_seconds: float = 60.0
    attempts: int = 2
    ballast: tuple[Path, int] | None = None
    file_bytes: int | None = None

    @property
    def rounds(self) -> int:
        return 2 if self.ballast or self.file_bytes else 1


class Moved(BaseModel):
    """One round: `stored` and `kinds` by post and slide number, the process's peak in MB."""

    stored: dict[str, dict[int, StoredSlide]]
    kinds: dict[str, dict[int, str]]
    messages: list[str]
    peak_mb: float
    left_in_cache: list[str]


def settings_of(settings: Settings) -> dict[str, Any]:
    """As JSON, the secrets too: it goes through a pipe alone."""
    values = settings.model_dump(mode="json")
    values |= {
        name: getattr(settings, name).get_secret_value()
        for name in ("supabase_key", "google_sheets_credentials")
    }
    return {name: value for name, value in values.items() if value is not None}


async def moved_elsewhere(order: Order, *, prefix: Sequence[str] = ()) -> list[Moved]:
    """Starts the process, behind the command `prefix`, and waits for it."""
    command = [*prefix, sys.executable, "-m", __name__]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, errors = await process.communicate(order.model_dump_json().encode())
    assert process.returncode == 0, errors.decode()[-3000:]
    return [Moved.model_validate_json(line) for line in out.splitlines()]


async def _move(order: Order, stored: dict[str, dict[int, StoredSlide]]) -> Moved:
    settings = load_settings(None, **order.settings)
    timeouts = Timeouts(idle=order.idle_seconds, total=order.total_seconds)
    async with (
        SlideDownloader(
            settings, timeouts=timeouts, attempts=order.attempts, max_wait=0.05
        ) as downloader,
        open_slide_store(settings, attempts=2) as store,
    ):
        mover = SlideMover(downloader, store)
        moves = (
            mover.move(post, list(stored.get(post.tiktok_id, {}).values())) for post in order.posts
        )
        results = dict(zip((p.tiktok_id for p in order.posts), await asyncio.gather(*moves)))
    return Moved(
        stored={i: {s.slide_number: s for s in result.slides} for i, result in results.items()},
        kinds={i: {f.number: f.kind for f in result.failures} for i, result in results.items()},
        messages=[f.message for result in results.values() for f in result.failures],
        peak_mb=_peak_megabytes(),
        left_in_cache=sorted(path.name for path in settings.slide_cache_dir.iterdir()),
    )


def _peak_megabytes() -> float:
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 1024


def main() -> None:
    order = Order.model_validate_json(sys.stdin.read())
    if order.ballast:
        path, size = order.ballast
        path.write_bytes(bytes(size))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    if order.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_bytes, unlimited[1]))
    first = asyncio.run(_move(order, {}))
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    _print(first)
    if order.ballast:
        order.ballast[0].unlink()
    if order.rounds == 2:
        _print(asyncio.run(_move(order, first.stored)))


def _print(moved: Moved) -> None:
    sys.stdout.write(moved.model_dump_json() + "\n")


if __name__ == "__main__":
    main()
