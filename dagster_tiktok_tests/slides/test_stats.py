from __future__ import annotations

import json

from dagster_tiktok.slides.stats import MAX_HOSTS, OTHER_HOSTS, MoveStats, average, p95


def test_the_metrics_of_two_posts_add_up_and_are_json() -> None:
    one, other, total = MoveStats(uploaded=2), MoveStats(uploaded=1, failed=1), MoveStats()
    one.count_download("a", size=10, seconds=0.1)
    one.count_download("a", size=20, seconds=0.3)
    other.count_failed_request("a", "network", size=5)
    other.count_failed_request("a", "network", size=0)
    other.count_download("b", size=100, seconds=2.0)
    other.by_kind["corrupt"] += 1
    total.merge(one)
    total.merge(other)

    metrics = json.loads(json.dumps(total.as_metrics()))

    assert metrics == {
        "slides": 4,
        "successful": 3,
        "failed": 1,
        "skipped": 0,
        "downloaded": 3,
        "resumed": 0,
        "cached": 0,
        "uploaded": 3,
        "already_there": 0,
        "refreshed_posts": 0,
        "failed_requests": 2,
        "bytes": 135,
        "seconds_average": 0.8,
        "seconds_p95": 2.0,
        "by_host": {"a": 2, "b": 1},
        "by_kind": {"corrupt": 1},
        "hosts": {
            "a": {
                "downloaded": 2,
                "bytes": 35,
                "seconds_average": 0.2,
                "seconds_p95": 0.3,
                "failed_requests": 2,
                "failures": {"network": 2},
            },
            "b": {
                "downloaded": 1,
                "bytes": 100,
                "seconds_average": 2.0,
                "seconds_p95": 2.0,
                "failed_requests": 0,
                "failures": {},
            },
        },
    }
    assert one.as_metrics()["downloaded"] == 2


def test_metrics_stay_small_when_pages_name_ever_new_hosts() -> None:
    total = MoveStats()
    for number in range(1000):
        stats = MoveStats()
        stats.count_failed_request(f"{number}{'x' * 1000}", "forbidden_host", size=1)
        total.merge(stats)
    assert len(total.hosts) == MAX_HOSTS + 1
    assert total.hosts[OTHER_HOSTS].failures == {"forbidden_host": 1000 - MAX_HOSTS}
    assert (total.bytes, total.failed_requests) == (1000, 1000)
    assert max(map(len, total.hosts)) == 100


def test_hosts_in_the_metrics_are_printable_text() -> None:
    stats = MoveStats()
    stats.count_failed_request("a\ud800\x1b[31m", "forbidden_host", size=0)
    assert [*stats.hosts] == ["a  [31m"]


def test_p95_of_a_hundred_times_is_the_95th() -> None:
    assert p95([float(n) for n in range(100, 0, -1)]) == 95.0


def test_times_are_zero_without_slides() -> None:
    assert (average([]), p95([])) == (0.0, 0.0)
