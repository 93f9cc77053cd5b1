"""Timing two things in turn, so that a change of the machine's speed meets both."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median

RUNS = 5


def seconds(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(
    name: str, ours: Callable[[], object], peer_name: str, peer: Callable[[], object], *, per: int
) -> float:
    """Prints medians of five paired runs in milliseconds an item; returns the median ratio.

    Arguments:
        per: items that one call works through.
    """
    ours(), peer()  # warm
    pairs = [(seconds(ours), seconds(peer)) for _ in range(RUNS)]
    a, b = median(a for a, _ in pairs), median(b for _, b in pairs)
    ratio = median(a / b for a, b in pairs)
    print(
        f"{name:<44} {1000 * a / per:9.3f} ms   {peer_name}: {1000 * b / per:9.3f} ms   "
        f"ratio {ratio:6.2f}"
    )
    return ratio
