from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator

import pytest

from dagster_tiktok.net.rate_limit import RateLimit
from dagster_tiktok_tests.support.manual_clock import ManualClock

# What a second holds is counted in floating point.
A_HAIR = 1e-9
GIVEN_BACK = 0.01
"""By which a turn may come early after one that came late, or after none."""


def beginnings(
    per_second: float, count: int, clock: ManualClock, *, stall: float = 0
) -> list[float]:
    async def run() -> list[float]:
        limit, times = RateLimit(per_second, clock, service="a"), list[float]()

        async def one(number: int) -> None:
            await limit.wait()
            times.append(clock.now())
            if number == count // 3:
                clock.advance(stall)

        await asyncio.gather(*(one(number) for number in range(count)))
        return times

    return asyncio.run(run())


def most_in_a_second(times: list[float]) -> int:
    return max(sum(1 for other in times if at <= other < at + 1 - A_HAIR) for at in times)


def lateness(*seconds: float) -> Iterator[float]:
    while True:
        yield from seconds


@pytest.mark.parametrize("late", [(0.0,), (0.001,), (0.009,), (0.0, 0.05, 0.0), (0.3, 0.0, 0.0)])
@pytest.mark.parametrize("stall", [0, 0.3, 5])
def test_no_second_has_more_than_the_rate_plus_one(stall: float, late: tuple[float, ...]) -> None:
    times = beginnings(50, 200, ManualClock(lateness(*late)), stall=stall)
    assert most_in_a_second(times) <= 51


@pytest.mark.parametrize("late", [0, 0.001, 0.0099])
def test_rate_is_reached_when_timers_are_late(late: float) -> None:
    times = beginnings(40, 1001, ManualClock(lateness(late)))
    assert 0.98 * 40 <= 1000 / (times[-1] - times[0]) <= 40


def test_zero_is_no_limit() -> None:
    times = beginnings(0, 10_000, ManualClock())
    assert times[0] == times[-1]


def test_cancelled_waiter_does_not_block_others() -> None:
    async def run() -> tuple[list[int], float]:
        clock, turns = ManualClock(), list[int]()
        limit, began = RateLimit(20, clock, service="a"), clock.now()

        async def one(number: int) -> None:
            await limit.wait()
            turns.append(number)

        waiters = [asyncio.create_task(one(number)) for number in range(4)]
        await asyncio.sleep(0)
        waiters[2].cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        return turns, clock.now() - began

    turns, seconds = asyncio.run(run())
    assert turns == [0, 1, 3]
    assert seconds == pytest.approx(2 * 1.01 / 20 - GIVEN_BACK)


def test_second_caller_waits_by_the_real_clock() -> None:
    async def run() -> float:
        loop, limit = asyncio.get_running_loop(), RateLimit(20, service="the machine's")
        began = loop.time()
        await limit.wait()
        await limit.wait()
        return loop.time() - began

    assert asyncio.run(run()) >= 1 / 20 - GIVEN_BACK


def test_consecutive_limits_of_a_service_share_its_rate() -> None:
    """Each stage of a run has its own client and its own event loop."""
    clock, times = ManualClock(), list[float]()

    async def stage(service: str) -> None:
        await RateLimit(1, clock, service=service).wait()
        times.append(clock.now())

    for _ in range(4):
        asyncio.run(stage("https://a.example"))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= 1 for gap in gaps)

    asyncio.run(stage("https://b.example"))
    assert times[-1] == times[-2]


def test_limits_of_a_service_in_several_threads_share_its_rate() -> None:
    clock, times, lock = ManualClock(), list[float](), threading.Lock()

    async def stage() -> None:
        limit = RateLimit(50, clock, service="a")
        for _ in range(50):
            await limit.wait()
            with lock:
                times.append(clock.now())

    threads = [threading.Thread(target=lambda: asyncio.run(stage())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(times) - min(times) >= 199 / 50 - GIVEN_BACK
