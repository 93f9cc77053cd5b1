"""A URL that says photo: its post is never recorded as a video because a page lacks the slides."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_tiktok.models import RowDetails
from dagster_tiktok_tests.stages.test_scrape_passes import LAST, on_site, path_of, post_id, unit
from dagster_tiktok_tests.support.responses import html, redirect
from dagster_tiktok_tests.support.sample_pages import A, carousel, item, post_page

CODE = "ZP9AbCdEfGhIj-8Kl9M"
SHORT = f"https://vm.tiktok.com/{CODE}/"


def without_slides(number: int) -> bytes:
    """What is neither a carousel nor a video: TikTok left out both parts."""
    struct = item(id=post_id(number), authorStats={"followerCount": 1})
    del struct["video"]
    return post_page(struct)


def with_slides(number: int) -> bytes:
    return post_page(carousel(A, id=post_id(number), authorStats={"followerCount": 1}))


def typed(url: str) -> RowDetails:
    return RowDetails(va_url=url)


PHOTO_URL = f"https://www.tiktok.com/@nasa/photo/{post_id(1)}"
VIDEO_URL = f"https://www.tiktok.com/@nasa/video/{post_id(1)}"


@pytest.mark.parametrize(
    "fields",
    [
        {"details": typed(PHOTO_URL)},
        {"details": typed(PHOTO_URL), "tiktok_id": None},
        {"details": typed(f"see ({PHOTO_URL}?lang=en)")},
        {"details": typed(f"{VIDEO_URL}?aweme_type=150&pic_cnt=4")},
        {"details": typed(f"https://www.tiktok.com/share/photo/{post_id(1)}")},
        # What the ledger knows: a short link's target of an earlier run, a post with slides.
        {"details": typed(SHORT), "is_photo": True},
        {"details": None, "slot": 3, "source_key": post_id(1), "is_photo": True},
    ],
)
def test_a_photo_url_without_slides_on_its_page_stays_open(fields: dict[str, Any]) -> None:
    run, _ = on_site([unit(1, **fields)], {path_of(1): [html(without_slides(1))]}, pause=0)
    result = run.result(1)
    assert (result.result, result.error_kind, result.is_photo) == ("retry", "incomplete", True)


def test_a_photo_url_is_a_carousel_when_another_pass_shows_the_slides() -> None:
    pages = [html(without_slides(1)), html(with_slides(1))]
    run, _ = on_site([unit(1, details=typed(PHOTO_URL))], {path_of(1): pages}, pause=0)
    post = run.result(1).post
    assert post is not None
    assert (len(post.slides), post.post_url) == (1, PHOTO_URL)


@pytest.mark.parametrize(
    "target",
    [
        f"https://www.tiktok.com/@nasa/photo/{post_id(1)}?_r=1&_t=8abc",
        f"https://www.tiktok.com/@nasa/video/{post_id(1)}?_r=1&aweme_type=150&pic_cnt=3",
        f"https://m.tiktok.com/share/photo/{post_id(1)}.html",
    ],
)
def test_a_short_link_to_a_photo_without_slides_is_recorded_as_a_photo(target: str) -> None:
    link = unit(1, tiktok_id=None, details=typed(SHORT))
    script = {f"/t/{CODE}/": [redirect(target)], path_of(1): [html(without_slides(1))]}
    run, _ = on_site([link], script, pause=0)
    result = run.result(1)
    assert (result.result, result.error_kind) == ("retry", "incomplete")
    # The next run knows the id and asks for no target: it has to be told.
    assert (result.tiktok_id, result.is_photo) == (post_id(1), True)


def test_a_video_url_without_a_video_on_its_page_is_recorded() -> None:
    run, _ = on_site([unit(1, details=typed(VIDEO_URL))], {path_of(1): [html(without_slides(1))]})
    assert (run.result(1).result, run.result(1).is_photo) == ("scraped", False)


def test_rows_with_both_urls_of_a_post_request_one_page() -> None:
    units = [
        unit(1, details=typed(PHOTO_URL)),
        unit(2, post=1, details=typed(VIDEO_URL)),
    ]
    run, site = on_site(units, {path_of(1): [html(with_slides(1))]})
    assert site.paths == [path_of(1)]
    assert [len(result.post.slides) for result in run.results if result.post] == [1, 1]


def test_a_photo_url_with_only_a_preview_stays_a_photo_post() -> None:
    script = {
        path_of(1): [html(without_slides(1))],
        "/oembed": [html(b'{"title": "A caption", "author_unique_id": "nasa"}')],
    }
    run, _ = on_site([unit(1, details=typed(PHOTO_URL), **LAST)], script, pause=0)
    post = run.result(1).post
    assert post is not None
    assert (post.post_url, post.scraping_method) == (PHOTO_URL, "oembed")
