"""What ends a post, and what the log says of one that has no result yet."""

from __future__ import annotations

import logging

import pytest

from dagster_tiktok.models import RowDetails
from dagster_tiktok_tests.stages.test_scrape_passes import on_site, path_of, post_id, unit
from dagster_tiktok_tests.support.responses import Respond, html, redirect
from dagster_tiktok_tests.support.sample_pages import page, profile_scope

CODE = "ZP9AbCdEfGhIj-8Kl9M"
LINK = f"https://vm.tiktok.com/{CODE}/"


def private_account(name: str) -> Respond:
    return html(page(profile_scope(name, statusCode=10222)))


@pytest.mark.parametrize(
    ("typed", "shown", "result"),
    [
        (f"https://www.tiktok.com/@NASA/video/{post_id(1)}", "nasa", "unavailable"),
        (f"https://www.tiktok.com/@nasa/video/{post_id(1)}", "another", "retry"),
        (f"https://www.tiktok.com/@_/video/{post_id(1)}", "_", "retry"),
        (f"https://www.tiktok.com/embed/v2/{post_id(1)}", "nasa", "retry"),
        (LINK, "nasa", "unavailable"),
        (LINK, "another", "retry"),
    ],
)
def test_only_the_posts_own_private_account_ends_its_scrapes(
    typed: str, shown: str, result: str
) -> None:
    script = {
        path_of(1): [private_account(shown)],
        f"/t/{CODE}/": [redirect(f"https://www.tiktok.com/@nasa/video/{post_id(1)}")],
    }
    row = unit(1, details=RowDetails(va_url=typed), tiktok_id=None)
    run, _ = on_site([row], script, pause=0)
    assert run.result(1).result == result


def test_a_private_account_does_not_end_a_daily_scrape() -> None:
    daily = unit(1, details=None, slot=3)
    run, _ = on_site([daily], {path_of(1): [private_account("nasa")]}, pause=0)
    assert (run.result(1).result, run.result(1).error_kind) == ("retry", "incomplete")


def test_the_log_names_a_failed_short_link_and_its_row(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    row = unit(258, details=RowDetails(va_url=LINK), source_key=f"t/{CODE}", tiktok_id=None)
    on_site([row], {f"/t/{CODE}/": [redirect("/?_r=1")]})
    (line,) = [text for r in caplog.records if "no longer" in (text := r.getMessage())]
    named = f'scraped_posts: short link "{LINK}" (unit t/{CODE})'
    assert line.startswith(f"{named}: The short link no longer works")
    assert "look" not in line
