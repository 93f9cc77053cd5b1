"""What the sandbox's servers keep is read and changed by tests in threads of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from dagster_tiktok.sandbox.sheets.gate import Faults
from dagster_tiktok.sandbox.sheets.gate import RequestLog as SheetsLog
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import Fault, FaultPlan, RequestFacts
from dagster_tiktok.sandbox.tiktok.http.request_log import RequestLog

pytestmark = pytest.mark.slow

WRITERS = 4
TIMES = 400
"""How often each of them writes."""


@pytest.fixture(autouse=True)
def threads_that_change_places_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(write: Callable[[int], None], read: Callable[[], object]) -> None:
    """`write` runs in WRITERS threads, each with its number, while two others `read` on and on.

    What one of them raises is raised here.
    """
    written = Event()

    def read_on() -> None:
        read()
        while not written.is_set():
            read()

    with ThreadPoolExecutor(WRITERS + 2) as threads:
        readers = [threads.submit(read_on) for _ in range(2)]
        writers = [threads.submit(write, number) for number in range(WRITERS)]
        try:
            for writer in writers:
                writer.result()
        finally:
            written.set()
        for reader in readers:
            reader.result()


def test_the_tiktok_log_is_consistent_when_read_during_requests() -> None:
    log = RequestLog()

    def write(number: int) -> None:
        for count in range(TIMES):
            facts = RequestFacts("page", str(number))
            with log.entry(facts, method="GET", path=f"/{number}/{count}") as entry:
                entry.status = 200

    def read() -> None:
        numbers = [entry.number for entry in log.entries]
        assert numbers == list(range(1, len(numbers) + 1))
        own = [entry.path for entry in log.selected(post_id="1")]
        assert own == [f"/1/{count}" for count in range(len(own))]
        assert sum(log.by_kind.values()) <= sum(log.by_path.values()) <= log.total
        counts = log.counts()
        assert counts["total"] == sum(counts["by_kind"].values())
        assert sum(counts["by_status"].values()) <= counts["total"]

    at_once(write, read)

    assert log.total == len(log.entries) == WRITERS * TIMES
    assert (log.by_kind["page"], log.in_flight["page"]) == (WRITERS * TIMES, 0)
    assert set(log.by_path.values()) == {1}
    assert log.counts()["by_status"] == {"200": WRITERS * TIMES}


def test_a_reset_of_the_tiktok_log_during_requests_half_counts_none() -> None:
    log = RequestLog()

    def write(number: int) -> None:
        for _ in range(TIMES):
            with log.entry(RequestFacts("page"), method="GET", path=f"/{number}"):
                pass

    def read() -> None:
        log.reset()
        counts = log.counts()
        assert counts["total"] == sum(counts["by_kind"].values())

    at_once(write, read)

    assert log.in_flight["page"] == 0
    assert log.total == len(log.entries)


def test_the_sheets_log_is_consistent_when_read_during_requests() -> None:
    log = SheetsLog()

    def write(number: int) -> None:
        for count in range(TIMES):
            log.open("read", "GET", f"/{number}/{count}")["status"] = 200

    def read() -> None:
        told = log.describe()
        assert told["counts"]["read"] == len(told["requests"])

    at_once(write, read)

    assert log.describe()["counts"]["read"] == WRITERS * TIMES


def test_faults_changed_during_requests_keep_their_counts() -> None:
    plan, sheet = FaultPlan(), Faults()
    plan.add(Fault("challenge", on="page", times=TIMES))
    sheet.add({"kind": "unavailable", "operation": "read", "count": TIMES})
    struck = list[object]()

    def write(number: int) -> None:
        for count in range(TIMES):
            added = plan.add(Fault("svg", on="slide", post_id=f"{number}-{count}"))
            sheet.add({"kind": "html", "operation": "write"})
            if plan.decide(RequestFacts("page", str(count))).fault:
                struck.append("page")
            if sheet.next("read"):
                struck.append("sheet")
            assert plan.remove(added)

    def read() -> None:
        assert plan.listed()[0]["fired"] <= TIMES
        sheet.describe()

    at_once(write, read)

    assert (struck.count("page"), struck.count("sheet")) == (TIMES, TIMES)


def test_a_post_is_found_while_others_are_added() -> None:
    world = World(posts=20)
    post = world.posts[0]

    def write(number: int) -> None:
        if number == 0:  # one test adds at a time
            for _ in range(TIMES):
                world.new_post()

    def read() -> None:
        assert world.another(post) not in (None, post)

    at_once(write, read)
