"""Results are recorded in groups while the work goes on."""

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

    One task of its own writes, and is never cancelled: a group is written or its error is raised.
    A process that is killed loses only the results of that moment, and their work is done again.
    Get one from `record_while`.
    """

    def __init__(self, write: Callable[[list[T]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[T] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._writing = asyncio.ensure_future(self._run())

    async def add(self, result: T) -> None:
        """Has the result written soon. Raises what ended the writing, if something did."""
        if self._writing.done():
            self._writing.result()
        self._waiting.append(result)
        if len(self._waiting) >= FLUSH_SIZE:
            self._wake.set()

    def close(self) -> None:
        """No further result comes: what is left is written now."""
        self._closing = True
        self._wake.set()

    async def written(self) -> None:
        """Waits for the end of the writing. Raises what ended it, if something did.

        A caller that is cancelled does not end the writing.
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
    """Runs `work` with a recorder, whose last group is written also when the work is interrupted.

    A write that fails cancels the work at once, and its error is raised: results that cannot be
    recorded are requests in vain, and work that waits for one slow page would notice late.
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
