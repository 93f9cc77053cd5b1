from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from dagster_tiktok.stages.recorder import FLUSH_SIZE, Recorder, record_while
from dagster_tiktok.tasks import run_together

NEVER = 3600.0


async def write_fails(group: list[int]) -> None:
    raise OSError("database is down")


def test_results_are_written_in_groups_and_none_is_lost() -> None:
    groups: list[list[int]] = []

    async def write(group: list[int]) -> None:
        await asyncio.sleep(0.001)
        groups.append(group)

    async def work(recorder: Recorder[int]) -> None:
        for number in range(3 * FLUSH_SIZE + 1):
            await recorder.add(number)

    asyncio.run(record_while(write, work))

    assert sorted(chain.from_iterable(groups)) == list(range(3 * FLUSH_SIZE + 1))
    assert len(groups) < FLUSH_SIZE


def test_a_result_does_not_wait_for_the_next_one() -> None:
    written: asyncio.Queue[list[int]] = asyncio.Queue()

    async def work(recorder: Recorder[int]) -> None:
        for number in range(3):
            await recorder.add(number)
            assert await written.get() == [number]

    asyncio.run(record_while(written.put, work))


def test_results_are_written_when_the_work_fails() -> None:
    written: list[int] = []

    async def write(group: list[int]) -> None:
        written.extend(group)

    async def work(recorder: Recorder[int]) -> None:
        await recorder.add(1)
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        asyncio.run(record_while(write, work))
    assert written == [1]


def test_results_are_written_when_a_write_is_cancelled() -> None:
    written: list[int] = []

    async def interrupt() -> None:
        writing, go_on = asyncio.Event(), asyncio.Event()

        async def write(group: list[int]) -> None:
            writing.set()
            await go_on.wait()
            written.extend(group)

        async def work(recorder: Recorder[int]) -> None:
            await recorder.add(1)
            await writing.wait()
            await recorder.add(2)
            await asyncio.sleep(NEVER)

        recording = asyncio.ensure_future(record_while(write, work))
        await writing.wait()
        await asyncio.sleep(0)
        recording.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await recording

    asyncio.run(interrupt())
    assert written == [1, 2]


def test_a_failed_write_ends_waiting_work_at_once() -> None:
    ended: list[str] = []

    async def work(recorder: Recorder[int]) -> None:
        await recorder.add(1)
        try:
            await asyncio.sleep(NEVER)
        finally:
            ended.append("work")

    with pytest.raises(OSError, match="database is down"):
        asyncio.run(record_while(write_fails, work))
    assert ended == ["work"]


def test_a_result_after_a_failed_write_raises_its_error() -> None:
    raised: list[BaseException] = []

    async def work(recorder: Recorder[int]) -> None:
        await recorder.add(1)
        try:
            await asyncio.sleep(NEVER)
        finally:
            try:
                await recorder.add(2)
            except OSError as error:
                raised.append(error)
                raise

    with pytest.raises(OSError, match="database is down") as failed:
        asyncio.run(record_while(write_fails, work))
    assert raised == [failed.value]


def test_the_error_of_the_last_write_is_raised() -> None:
    async def work(recorder: Recorder[int]) -> None:
        await recorder.add(1)

    with pytest.raises(OSError, match="database is down"):
        asyncio.run(record_while(write_fails, work))


def test_the_error_of_one_worker_ends_the_others() -> None:
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
