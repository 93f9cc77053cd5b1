from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from dagster_tiktok.stages.claims import FLUSH_SIZE, Recorder, recording
from dagster_tiktok.tasks import run_together


def test_given_results_then_they_are_written_in_groups_and_none_is_lost() -> None:
    groups: list[list[int]] = []

    async def write(group: list[int]) -> None:
        await asyncio.sleep(0.001)
        groups.append(group)

    async def work() -> None:
        async with recording(write) as recorder:
            for number in range(3 * FLUSH_SIZE + 1):
                await recorder.add(number)

    asyncio.run(work())

    assert sorted(chain.from_iterable(groups)) == list(range(3 * FLUSH_SIZE + 1))
    assert len(groups) < FLUSH_SIZE


def test_given_a_slow_trickle_then_a_result_does_not_wait_for_the_next_one() -> None:
    written: asyncio.Queue[list[int]] = asyncio.Queue()

    async def work() -> None:
        async with recording(written.put) as recorder:
            for number in range(3):
                await recorder.add(number)
                assert await written.get() == [number]

    asyncio.run(work())


def test_given_work_that_is_broken_off_then_what_was_done_is_still_written() -> None:
    written: list[int] = []

    async def write(group: list[int]) -> None:
        written.extend(group)

    async def work() -> None:
        async with recording(write) as recorder:
            await recorder.add(1)
            raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        asyncio.run(work())
    assert written == [1]


def test_given_a_write_that_fails_then_the_next_result_raises_its_error() -> None:
    failed = asyncio.Event()

    async def write(group: list[int]) -> None:
        failed.set()
        raise OSError("database is down")

    async def work() -> None:
        recorder = Recorder(write)
        await recorder.add(1)
        await failed.wait()
        await asyncio.sleep(0)
        await recorder.add(2)

    with pytest.raises(OSError, match="database is down"):
        asyncio.run(work())


def test_given_one_worker_that_fails_then_the_others_end_and_its_error_is_raised() -> None:
    ended: list[str] = []

    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("bad")

    async def runs_on() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("runs_on")

    with pytest.raises(ValueError, match="bad"):
        asyncio.run(run_together([fails(), runs_on()]))
    assert ended == ["runs_on"]
