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
        breaker.record_rejection(str(number % posts), error, breaker.start_request())


@pytest.mark.parametrize("kind", sorted(REJECTIONS))
def test_breaker_opens_with_a_reason_when_slides_of_several_posts_fail(
    kind: FailureKind,
) -> None:
    breaker = CdnBreaker()
    fail(breaker, OPEN_AFTER_SLIDES - 1, OPEN_AFTER_POSTS, kind)
    assert not breaker.is_open
    assert breaker.reason is None
    fail(breaker, 1, 1, kind)
    assert breaker.is_open
    assert breaker.reason is not None
    assert f"none of the last 10 slides ({kind})" in breaker.reason
    assert "SLIDE_REQUESTS_PER_SECOND" in breaker.reason


def test_count_restarts_when_a_slide_is_delivered() -> None:
    breaker = CdnBreaker()
    for _ in range(3):
        fail(breaker, OPEN_AFTER_SLIDES - 1, OPEN_AFTER_POSTS)
        assert breaker.has_rejections
        breaker.record_response()
        assert not breaker.has_rejections


def test_only_the_first_of_concurrent_failures_counts() -> None:
    breaker = CdnBreaker()
    concurrent = [breaker.start_request() for _ in range(15)]
    for request in concurrent:
        breaker.record_rejection(str(request), slide_error("network"), request)
    fail(breaker, OPEN_AFTER_SLIDES - 2, OPEN_AFTER_POSTS)
    assert not breaker.is_open
    fail(breaker, 1, 1)
    assert breaker.is_open


def test_breaker_stays_closed_when_one_carousel_is_broken() -> None:
    breaker = CdnBreaker()
    fail(breaker, 35, OPEN_AFTER_POSTS - 1)
    assert not breaker.is_open


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - REJECTIONS))
def test_breaker_ignores_failures_that_are_not_the_cdns(kind: FailureKind) -> None:
    breaker = CdnBreaker()
    fail(breaker, 100, 100, kind)
    assert not breaker.has_rejections
