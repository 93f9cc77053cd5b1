"""Timing two things in turn, so that a change of the machine's speed meets both."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeAlias

RUNS = 5
Work: TypeAlias = Callable[[], object]


def seconds(work: Work) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(name: str, ours: Work, peer_name: str, peer: Work, *, per: int) -> float:
    """Prints medians of five paired runs in milliseconds an item; returns the median ratio.

    Arguments:
        per: items that one call works through.
    """
    return compare_prepared(name, lambda: ours, peer_name, lambda: peer, per=per)


def compare_prepared(
    name: str,
    prepare_ours: Callable[[], Work],
    peer_name: str,
    prepare_peer: Callable[[], Work],
    *,
    per: int = 1,
) -> float:
    """The same for work that has to be prepared, which is not timed.

    Arguments:
        prepare_ours, prepare_peer: answer what is timed; called anew for every run.
    """
    prepare_ours()(), prepare_peer()()  # warm
    pairs = [(seconds(prepare_ours()), seconds(prepare_peer())) for _ in range(RUNS)]
    a, b = median(a for a, _ in pairs), median(b for _, b in pairs)
    ratio = median(a / b for a, b in pairs)
    print(
        f"{name:<44} {1000 * a / per:9.3f} ms   {peer_name}: {1000 * b / per:9.3f} ms   "
        f"ratio {ratio:6.2f}"
    )
    return ratio


def peak_megabytes(process: int | str = "self") -> float:
    """What a process held at most, this one or that of an id. Not ru_maxrss: a child begins with
    its parent's."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(line) / 1024
