"""Concurrent callers with the same key share one call and its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SharedCalls(Generic[T]):
    """Calls a function once for each key. Keeps results, but not failures.

    Cancelling one caller does not affect the others.

    Arguments:
        call: the function.
        keep: how many results to keep; the oldest are evicted.
    """

    def __init__(self, call: Callable[[str], Coroutine[Any, Any, T]], *, keep: int = 1000) -> None:
        self._call = call
        self._keep = keep
        self._results: dict[str, T] = {}
        self._running: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str) -> T:
        """The result for `key`. Raises what the call raises."""
        if key in self._results:
            return self._results[key]
        if key not in self._running:
            task = self._running[key] = asyncio.create_task(self._remember(key))
            # Retrieve the exception: the caller may have been cancelled.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._running[key])

    async def close(self) -> None:
        """Cancels the running calls and waits for their end."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _remember(self, key: str) -> T:
        try:
            result = self._results[key] = await self._call(key)
        finally:
            del self._running[key]
        if len(self._results) > self._keep:
            del self._results[next(iter(self._results))]
        return result
