from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from dagster_tiktok.tiktok.shared_calls import SharedCalls


def test_oldest_results_are_evicted() -> None:
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        return key.upper()

    async def run() -> None:
        calls = SharedCalls(ask, keep=2)
        assert [await calls.get(key) for key in "abcbcab"] == list("ABCBCAB")

    asyncio.run(run())
    assert asked == ["a", "b", "c", "a", "b"]


def test_concurrent_callers_share_one_call() -> None:
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        await asyncio.sleep(0.01)
        return key

    async def run() -> None:
        calls = SharedCalls(ask, keep=0)
        assert await asyncio.gather(*(calls.get("a") for _ in range(5))) == ["a"] * 5

    asyncio.run(run())
    assert asked == ["a"]


def test_failures_are_not_kept() -> None:
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        raise ValueError(key)

    async def run() -> None:
        calls = SharedCalls(ask)
        for _ in range(2):
            with pytest.raises(ValueError, match="a"):
                await calls.get("a")

    asyncio.run(run())
    assert asked == ["a", "a"]


def test_memory_stays_flat_over_ten_thousand_results() -> None:
    async def ask(key: str) -> bytes:
        return bytes(10_000)

    async def run() -> int:
        calls = SharedCalls(ask)
        tracemalloc.start()
        try:
            for number in range(10_000):
                await calls.get(str(number))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert asyncio.run(run()) < 20_000_000
