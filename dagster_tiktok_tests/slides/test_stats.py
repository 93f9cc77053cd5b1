from __future__ import annotations

import json
from collections import Counter

from dagster_tiktok.slides.stats import MoveStats


def test_given_the_figures_of_two_posts_then_they_add_up_and_are_json() -> None:
    total = MoveStats()
    total.merge(MoveStats(downloaded=2, bytes=10, seconds=[0.1, 0.3], by_host=Counter(a=2)))
    total.merge(MoveStats(downloaded=1, failed=1, seconds=[2.0], by_host=Counter(a=1, b=1)))
    metrics = json.loads(json.dumps(total.as_metrics()))
    assert (metrics["downloaded"], metrics["bytes"], metrics["failed"]) == (3, 10, 1)
    assert (metrics["seconds_average"], metrics["seconds_p95"]) == (0.8, 2.0)
    assert metrics["by_host"] == {"a": 3, "b": 1}


def test_given_a_hundred_times_then_p95_is_the_95th() -> None:
    assert MoveStats(seconds=[float(n) for n in range(100, 0, -1)]).seconds_p95 == 95.0


def test_given_nothing_then_the_times_are_zero() -> None:
    assert (MoveStats().seconds_average, MoveStats().seconds_p95) == (0.0, 0.0)
