from __future__ import annotations

import pytest

from dagster_tiktok.slides.breaker import (
    OPEN_AFTER_POSTS,
    OPEN_AFTER_SLIDES,
    REJECTIONS,
    CdnBreaker,
)
from dagster_tiktok.slides.failures import KINDS, FailureKind, slide_error


def fail(breaker: CdnBreaker, slides: int, posts: int, kind: FailureKind = "network") -> None:
    for number in range(slides):
        error = slide_error(kind, f"number {number}")
        breaker.record_rejection(str(number % posts), error, breaker.record_start())


@pytest.mark.parametrize("kind", sorted(REJECTIONS))
def test_breaker_opens_and_says_why_after_ten_slides_of_several_posts(
    kind: FailureKind,
) -> None:
    breaker = CdnBreaker()
    fail(breaker, OPEN_AFTER_SLIDES - 1, OPEN_AFTER_POSTS, kind)
    assert not breaker.is_open
    fail(breaker, 1, 1, kind)
    assert breaker.is_open
    assert f"none of the last 10 slides ({kind})" in (breaker.open_reason or "")
    assert "SLIDE_REQUESTS_PER_SECOND" in (breaker.open_reason or "")


def test_success_resets_the_count() -> None:
    breaker = CdnBreaker()
    for _ in range(3):
        fail(breaker, OPEN_AFTER_SLIDES - 1, OPEN_AFTER_POSTS)
        assert breaker.rejections
        breaker.record_success()
        assert breaker.rejections == 0


def test_of_concurrent_failures_only_the_first_counts() -> None:
    breaker = CdnBreaker()
    together = [breaker.record_start() for _ in range(15)]
    for start in together:
        breaker.record_rejection(str(start), slide_error("network"), start)
    fail(breaker, OPEN_AFTER_SLIDES - 2, OPEN_AFTER_POSTS)
    assert not breaker.is_open
    fail(breaker, 1, 1)
    assert breaker.is_open


def test_one_broken_carousel_does_not_open_the_breaker() -> None:
    breaker = CdnBreaker()
    fail(breaker, 35, OPEN_AFTER_POSTS - 1)
    assert not breaker.is_open


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - REJECTIONS))
def test_failures_that_are_no_rejection_do_not_count(
    kind: FailureKind,
) -> None:
    breaker = CdnBreaker()
    fail(breaker, 100, 100, kind)
    assert breaker.rejections == 0
