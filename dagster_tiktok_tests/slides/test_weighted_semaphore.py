from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from dagster_tiktok.slides.images.weighted_semaphore import WeightedSemaphore


def test_holders_together_never_exceed_the_size() -> None:
    semaphore, lock = WeightedSemaphore(10), threading.Lock()
    taken = most = 0

    def work(units: int) -> None:
        nonlocal taken, most
        with semaphore.hold(units):
            with lock:
                taken += units
                most = max(most, taken)
            time.sleep(0.001)
            with lock:
                taken -= units

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [1, 9, 3, 10, 2, 7] * 10))
    assert most == 10
    assert taken == 0


def test_holder_gets_and_returns_everything_when_it_asks_for_more_than_the_size() -> None:
    semaphore = WeightedSemaphore(10)
    for _ in range(2):
        with semaphore.hold(1000):
            pass
    with semaphore.hold(10):
        pass
