from __future__ import annotations

import pytest

from dagster_tiktok.slides.breaker import (
    OPEN_AFTER_POSTS,
    OPEN_AFTER_SLIDES,
    REFUSING,
    CdnBreaker,
)
from dagster_tiktok.slides.failures import KINDS, FailureKind, slide_error


def fail(breaker: CdnBreaker, slides: int, posts: int, kind: FailureKind = "network") -> None:
    for number in range(slides):
        error = slide_error(kind, f"number {number}")
        breaker.failed(str(number % posts), error, breaker.begins())


@pytest.mark.parametrize("kind", sorted(REFUSING))
def test_slides_of_several_posts_in_a_row_then_it_opens_and_says_why(
    kind: FailureKind,
) -> None:
    breaker = CdnBreaker()
    fail(breaker, OPEN_AFTER_SLIDES - 1, OPEN_AFTER_POSTS, kind)
    assert breaker.refusal is None
    fail(breaker, 1, 1, kind)
    assert breaker.refusal is not None
    assert f"none of the last 10 slides ({kind})" in breaker.refusal
    assert "SLIDE_REQUESTS_PER_SECOND" in breaker.refusal


def test_a_slide_that_came_between_then_the_count_begins_again() -> None:
    breaker = CdnBreaker()
    for _ in range(3):
        fail(breaker, OPEN_AFTER_SLIDES - 1, OPEN_AFTER_POSTS)
        assert breaker.in_doubt
        breaker.gave()
        assert not breaker.in_doubt


def test_slides_that_were_under_way_together_then_only_the_first_counts() -> None:
    breaker = CdnBreaker()
    together = [breaker.begins() for _ in range(15)]
    for began in together:
        breaker.failed(str(began), slide_error("network"), began)
    fail(breaker, OPEN_AFTER_SLIDES - 2, OPEN_AFTER_POSTS)
    assert breaker.refusal is None
    fail(breaker, 1, 1)
    assert breaker.refusal is not None


def test_a_carousel_that_is_broken_as_a_whole_then_the_others_are_still_asked_for() -> None:
    breaker = CdnBreaker()
    fail(breaker, 35, OPEN_AFTER_POSTS - 1)
    assert breaker.refusal is None


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - REFUSING))
def test_slides_that_the_cdn_is_not_to_blame_for_then_it_stays_closed(
    kind: FailureKind,
) -> None:
    breaker = CdnBreaker()
    fail(breaker, 100, 100, kind)
    assert not breaker.in_doubt
