from __future__ import annotations

import asyncio
import time

import pytest

from dagster_tiktok.rate import RateLimit


def beginnings(per_second: float, count: int, *, stall: float = 0) -> list[float]:
    async def run() -> list[float]:
        limit, times = RateLimit(per_second), list[float]()

        async def one(number: int) -> None:
            await limit.wait()
            times.append(time.monotonic())
            if stall and number == count // 3:
                time.sleep(stall)

        await asyncio.gather(*(one(number) for number in range(count)))
        return times

    return asyncio.run(run())


def most_in_a_second(times: list[float]) -> int:
    return max(sum(1 for other in times if at <= other < at + 1) for at in times)


@pytest.mark.parametrize("stall", [0, 0.3])
def test_given_a_limit_when_many_wait_then_no_second_holds_more_than_the_rate_and_one(
    stall: float,
) -> None:
    times = beginnings(50, 80, stall=stall)
    assert most_in_a_second(times) <= 51


def test_given_a_limit_when_many_wait_then_the_rate_is_reached() -> None:
    times = beginnings(40, 60)
    assert 0.97 * 40 <= 59 / (times[-1] - times[0]) <= 40.5


def test_given_no_limit_when_many_wait_then_none_is_held_up() -> None:
    times = beginnings(0, 10_000)
    assert times[-1] - times[0] < 1


def test_given_a_waiter_that_is_cancelled_when_others_wait_then_they_get_their_turn() -> None:
    async def run() -> float:
        limit = RateLimit(20)
        waiters = [asyncio.create_task(limit.wait()) for _ in range(4)]
        await asyncio.sleep(0.01)
        waiters[1].cancel()
        started = time.monotonic()
        await asyncio.gather(*waiters, return_exceptions=True)
        return time.monotonic() - started

    assert asyncio.run(run()) < 1
