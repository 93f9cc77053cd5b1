"""One question, one request: callers who ask the same share the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SharedCalls(Generic[T]):
    """Asks once a key, also when many ask at the same time. Returns are kept, failures are not.

    A caller that is cancelled leaves the others their answer.

    Arguments:
        keep: how many answers are kept; the oldest are forgotten and would be asked for again.
    """

    def __init__(self, ask: Callable[[str], Coroutine[Any, Any, T]], *, keep: int = 1000) -> None:
        self._ask = ask
        self._keep = keep
        self._answers: dict[str, T] = {}
        self._running: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str) -> T:
        """The answer, or what `ask` raised."""
        if key in self._answers:
            return self._answers[key]
        if key not in self._running:
            task = self._running[key] = asyncio.create_task(self._remember(key))
            # Its caller may have been cancelled meanwhile; nobody asks then.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._running[key])

    async def close(self) -> None:
        """Ends what is under way and waits for its end."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _remember(self, key: str) -> T:
        try:
            answer = self._answers[key] = await self._ask(key)
        finally:
            del self._running[key]
        if len(self._answers) > self._keep:
            del self._answers[next(iter(self._answers))]
        return answer
