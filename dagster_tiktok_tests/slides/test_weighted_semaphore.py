from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from dagster_tiktok.slides.images.weighted_semaphore import WeightedSemaphore


def test_more_wishes_than_room_then_no_more_than_there_is_is_ever_taken() -> None:
    room, lock = WeightedSemaphore(10), threading.Lock()
    taken = most = 0

    def work(units: int) -> None:
        nonlocal taken, most
        with room.taken(units):
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


def test_a_wish_for_more_than_there_is_then_it_gets_all_of_it_and_gives_all_back() -> None:
    room = WeightedSemaphore(10)
    for _ in range(2):
        with room.taken(1000):
            pass
    with room.taken(10):
        pass
