"""Records results in groups while the work goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

from dagster_tiktok.tasks import run_together

T = TypeVar("T")

FLUSH_SECONDS = 0.2
FLUSH_SIZE = 50


class Recorder(Generic[T]):
    """Writes results in groups: at most `FLUSH_SECONDS` after the first, or at `FLUSH_SIZE`.

    A separate task writes and is never cancelled: a group is written or its error is raised. A
    killed process loses only the results that are not yet written; their work is done again. Get
    one from `record_while`.
    """

    def __init__(self, write: Callable[[list[T]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[T] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._writing = asyncio.ensure_future(self._run())

    async def add(self, result: T) -> None:
        """Queues the result. Raises the error that ended the writer, if any."""
        if self._writing.done():
            self._writing.result()
        self._waiting.append(result)
        if len(self._waiting) >= FLUSH_SIZE:
            self._wake.set()

    def close(self) -> None:
        """Ends the queue: what is left is written now."""
        self._closing = True
        self._wake.set()

    async def written(self) -> None:
        """Waits until everything is written. Raises the error that ended the writer, if any.

        Cancelling the caller does not cancel the writer.
        """
        await asyncio.wait({self._writing})
        self._writing.result()

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), FLUSH_SECONDS)
            self._wake.clear()
            group, self._waiting = self._waiting, []
            if group:
                await self._write(group)


async def record_while(
    write: Callable[[list[T]], Awaitable[None]],
    work: Callable[[Recorder[T]], Coroutine[Any, Any, None]],
) -> None:
    """Runs `work` with a recorder and writes its last group even if the work is interrupted.

    If a write fails, the work is cancelled at once and the error is raised: requests whose results
    cannot be recorded are wasted, and work that waits for a slow page would notice late.
    """
    recorder = Recorder(write)

    async def working() -> None:
        try:
            await work(recorder)
        finally:
            recorder.close()

    try:
        await run_together([working(), recorder.written()])
    finally:
        recorder.close()
        await recorder.written()
