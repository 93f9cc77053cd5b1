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
        breaker.record_rejection()
        clock.now += breaker.pause_left()
    return breaker


def test_no_pause_before_the_fifth_rejection() -> None:
    breaker = Breaker(60, Clock())
    for _ in range(PAUSE_AFTER - 1):
        breaker.record_rejection()
    assert (breaker.pause_left(), breaker.is_open) == (0, False)


def test_pause_counts_down_after_five_rejections_in_a_row() -> None:
    clock = Clock()
    breaker = Breaker(60, clock)
    for _ in range(PAUSE_AFTER):
        breaker.record_rejection()
    assert breaker.pause_left() == 60
    clock.now += 45
    assert breaker.pause_left() == 15
    clock.now += 45
    assert breaker.pause_left() == 0


def test_rejections_during_the_pause_do_not_count() -> None:
    breaker = Breaker(60, Clock())
    for _ in range(64):
        breaker.record_rejection()
    assert (breaker.rejections, breaker.is_open) == (PAUSE_AFTER, False)


def test_breaker_stays_open_after_ten_rejections_in_a_row() -> None:
    clock = Clock()
    breaker = breaker_after(OPEN_AFTER, clock)
    assert breaker.is_open
    breaker.record_response()
    clock.now += 100_000
    assert breaker.is_open


def test_success_resets_the_count() -> None:
    clock = Clock()
    breaker = breaker_after(OPEN_AFTER - 1, clock)
    breaker.record_response()
    assert (breaker.rejections, breaker.pause_left()) == (0, 0)
    for _ in range(PAUSE_AFTER):
        breaker.record_rejection()
    assert (breaker.pause_left(), breaker.is_open) == (60, False)


def test_success_ends_the_pause() -> None:
    breaker = Breaker(60, Clock())
    for _ in range(PAUSE_AFTER):
        breaker.record_rejection()
    breaker.record_response()
    assert breaker.pause_left() == 0
