"""Work on many items with a few workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dagster_tiktok.tasks import for_each


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def test_every_item_is_worked_on_by_at_most_that_many_workers() -> None:
    done: list[int] = []
    busy = most = 0

    async def work(number: int) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        done.append(number)

    asyncio.run(for_each(numbers(20), work, concurrency=3, ahead=5))
    asyncio.run(for_each(range(20, 40), work, concurrency=3))

    assert sorted(done) == list(range(40))
    assert most == 3


def test_the_first_error_ends_all_workers() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        if number == 1:
            raise ValueError("no")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(ValueError, match="no"):
        asyncio.run(for_each(range(10), work, concurrency=3))

    assert ended in ([0], [0, 2])


def test_an_error_of_the_items_ends_all_workers() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 0
        raise ValueError("no more")

    async def work(_: int) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="no more"):
        asyncio.run(for_each(broken(), work, concurrency=2))
