from __future__ import annotations

from dagster_tiktok.tiktok.breaker import OPEN_AFTER, PAUSE_AFTER, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def breaker_after(rejections: int, clock: Clock) -> Breaker:
    breaker = Breaker(60, clock)
    for _ in range(rejections):
        breaker.refused()
        clock.now += breaker.pause_left()
    return breaker


def test_fewer_refusals_than_five_when_asked_then_there_is_no_pause() -> None:
    breaker = Breaker(60, Clock())
    for _ in range(PAUSE_AFTER - 1):
        breaker.refused()
    assert (breaker.pause_left(), breaker.is_open) == (0, False)


def test_five_refusals_in_a_row_when_asked_then_the_pause_runs_down() -> None:
    clock = Clock()
    breaker = Breaker(60, clock)
    for _ in range(PAUSE_AFTER):
        breaker.refused()
    assert breaker.pause_left() == 60
    clock.now += 45
    assert breaker.pause_left() == 15
    clock.now += 45
    assert breaker.pause_left() == 0


def test_refusals_during_the_pause_when_counted_then_they_are_left_out() -> None:
    breaker = Breaker(60, Clock())
    for _ in range(64):
        breaker.refused()
    assert (breaker.rejections, breaker.is_open) == (PAUSE_AFTER, False)


def test_ten_refusals_in_a_row_when_asked_then_it_is_open_for_good() -> None:
    clock = Clock()
    breaker = breaker_after(OPEN_AFTER, clock)
    assert breaker.is_open
    breaker.answered()
    clock.now += 100_000
    assert breaker.is_open


def test_an_answer_in_between_when_counted_then_the_row_begins_anew() -> None:
    clock = Clock()
    breaker = breaker_after(OPEN_AFTER - 1, clock)
    breaker.answered()
    assert (breaker.rejections, breaker.pause_left()) == (0, 0)
    for _ in range(PAUSE_AFTER):
        breaker.refused()
    assert (breaker.pause_left(), breaker.is_open) == (60, False)


def test_an_answer_during_the_pause_when_asked_then_the_pause_is_over() -> None:
    breaker = Breaker(60, Clock())
    for _ in range(PAUSE_AFTER):
        breaker.refused()
    breaker.answered()
    assert breaker.pause_left() == 0
