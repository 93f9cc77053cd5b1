"""Runs coroutines together and cancels the rest when one fails (Python 3.10 has no TaskGroup)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def run_together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. When one raises, cancels the others, waits for them, and raises it."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def for_each(
    items: Iterable[T] | AsyncIterable[T],
    work: Callable[[T], Awaitable[None]],
    *,
    concurrency: int,
    ahead: int = 1,
) -> None:
    """Runs `work` on every item, at most `concurrency` at a time.

    The first exception, of a worker or of `items`, cancels all workers and is raised.

    Arguments:
        ahead: how many items to take before a worker is free.
    """
    queue: asyncio.Queue[tuple[T] | None] = asyncio.Queue(maxsize=max(1, ahead))

    async def feed() -> None:
        async for item in _as_async(items):
            await queue.put((item,))
        for _ in range(concurrency):
            await queue.put(None)

    async def worker() -> None:
        while (entry := await queue.get()) is not None:
            await work(entry[0])

    await run_together([feed(), *(worker() for _ in range(concurrency))])


async def _as_async(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
