from __future__ import annotations

import json

from dagster_tiktok.automation import (
    Launch,
    Skip,
    decide_launch,
    failure_text,
    reason_to_wait,
)

PARTITION = "2026-11-22"


def decide(*, digest: str = "d1", cursor: str | None = None) -> Launch | Skip:
    return decide_launch(digests={"sheet": digest}, ready=3, partition=PARTITION, cursor=cursor)


def test_no_run_starts_without_ready_rows() -> None:
    assert reason_to_wait(ready=0, run_in_flight=False) == Skip("No row is ready.")


def test_no_run_starts_while_another_is_in_progress() -> None:
    assert isinstance(reason_to_wait(ready=3, run_in_flight=True), Skip)
    assert reason_to_wait(ready=3, run_in_flight=False) is None


def test_ready_rows_start_a_run_that_is_remembered() -> None:
    decision = decide()

    assert isinstance(decision, Launch)
    assert decision.partition == PARTITION
    assert json.loads(decision.cursor) == {
        "digests": {"sheet": "d1"},
        "partition": PARTITION,
    }


def test_the_same_rows_start_no_second_run() -> None:
    first = decide()
    assert isinstance(first, Launch)

    assert isinstance(decide(cursor=first.cursor), Skip)


def test_another_ready_row_starts_a_second_run() -> None:
    first = decide()
    assert isinstance(first, Launch)

    assert isinstance(decide(digest="d2", cursor=first.cursor), Launch)


def test_the_same_rows_start_a_run_on_the_next_day() -> None:
    cursor = json.dumps({"digests": {"sheet": "d1"}, "partition": "2026-11-21"})

    assert isinstance(decide(cursor=cursor), Launch)


def test_a_sheet_that_is_readable_again_starts_no_second_run() -> None:
    def decide_with(cursor: str | None, **digests: str) -> Launch | Skip:
        return decide_launch(digests=digests, ready=3, partition=PARTITION, cursor=cursor)

    both = decide_with(None, may="m1", june="j1")
    assert isinstance(both, Launch)
    assert isinstance(decide_with(both.cursor, june="j1"), Skip)  # may cannot be read
    other = decide_with(both.cursor, june="j2")
    assert isinstance(other, Launch)
    assert isinstance(decide_with(other.cursor, may="m1", june="j2"), Skip)
    assert isinstance(decide_with(other.cursor, may="m2", june="j2"), Launch)


def test_an_alert_names_the_day_the_reason_and_the_run() -> None:
    text = failure_text(
        job="scrape_posts",
        partition=PARTITION,
        run_id="0123456789abcdef",
        reasons=["TikTok rejects us"],
        fallback="?",
    )

    assert text == "scrape_posts failed for 2026-11-22: TikTok rejects us (run 01234567)"
