from __future__ import annotations

import statistics

import pytest

from dagster_tiktok.sandbox.tiktok.content.captions import compose, parse_caption
from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakeMetrics
from dagster_tiktok.sandbox.tiktok.content.statuses import LASTING_STATUSES
from dagster_tiktok.sandbox.tiktok.content.world import World

NOON = 1_788_609_600.0 + 12 * 3600


def test_same_seed_and_date_make_equal_worlds() -> None:
    assert World(3, 60, NOON).posts == World(3, 60, NOON + 5 * 3600).posts
    assert World(3, 60, NOON).posts != World(4, 60, NOON).posts


def test_world_of_45_posts_has_every_kind() -> None:
    world = World(posts=45)
    assert len(world.posts) == 45
    assert world.videos()
    assert all(world.carousels(count) for count in (1, 6, 35))
    assert all(world.unavailable(name).status == name for name in LASTING_STATUSES)
    assert any(not post.hashtags for post in world.posts)
    assert any(post.mentions for post in world.posts)
    assert any(post.music is None for post in world.posts)
    assert any(not post.author_stats_on_page for post in world.videos())


def test_error_names_an_unknown_status() -> None:
    with pytest.raises(KeyError, match="verification"):
        World(posts=45).unavailable("verification")


def test_ids_have_the_upload_time_shortly_before_creation() -> None:
    world = World(posts=300, now=NOON)
    lags = [post.created - (int(post.tiktok_id) >> 32) for post in world.posts]
    assert min(lags) > 0
    assert statistics.median(lags) == pytest.approx(11, abs=1)
    assert all(NOON - 7 * 86_400 < post.created <= NOON for post in world.posts)


def test_offsets_count_utf16_units() -> None:
    caption = compose(["🤯🔥 a ", "#Fyp", " ", "@maya.reads_"])
    hashtag, mention = caption.spans
    assert (hashtag.start, hashtag.end) == (7, 11)
    units = caption.text.encode("utf-16-le")
    assert units[hashtag.start * 2 : hashtag.end * 2].decode("utf-16-le") == "#Fyp"
    assert units[mention.start * 2 : mention.end * 2].decode("utf-16-le") == "@maya.reads_"


def test_hashtags_are_unique_lower_case_and_in_order() -> None:
    caption = parse_caption("look #B#a 🔥 #b @studio_nord, @x.y. end")
    assert caption.hashtags == ("b", "a")
    assert caption.mentions == ("studio_nord", "x.y")
    assert caption.text == "look #B#a 🔥 #b @studio_nord, @x.y. end"


def test_set_metrics_changes_only_the_metrics() -> None:
    world = World(posts=20)
    before = world.videos()[0]
    after = world.set_metrics(before.tiktok_id, views=77)
    assert after.metrics.views == 77
    assert after.metrics.likes == before.metrics.likes
    assert world.by_id[before.tiktok_id] is after
    assert world.by_short_code[before.short_code] is after


def test_views_grow_with_age() -> None:
    world = World(posts=20)
    before = {post.tiktok_id: post.metrics.views for post in world.posts}
    world.age(2)
    assert all(post.metrics.views > before[post.tiktok_id] for post in world.posts)


def test_new_posts_have_what_was_requested() -> None:
    world = World(posts=10)
    counts = FakeMetrics(1, 2, 3, 4, 5)
    carousel = world.new_post(slide_count=9, desc="hi #New", metrics=counts)
    assert (carousel.kind, carousel.slide_count, carousel.hashtags) == ("carousel", 9, ("new",))
    assert carousel.metrics == counts
    gone = world.new_post(status="verification")
    assert world.unavailable("verification") == gone
    assert len(world.posts) == 12
    found = world.image(carousel.slides[3].image_key)
    assert found == (carousel, carousel.slides[3])


def test_world_for_benchmarks_has_only_what_was_requested() -> None:
    world = World(posts=25, only="carousel", slide_count=6, slide_style="photo")
    assert [post.slide_count for post in world.carousels()] == [6] * 25
