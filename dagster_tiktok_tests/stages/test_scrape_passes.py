"""The passes of one run: which posts are requested how often, and what becomes of each unit."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dagster_tiktok.database.ledger import ScrapeResult
from dagster_tiktok.models import Metrics, RowDetails, Unit
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.settings import Settings
from dagster_tiktok.stages.scrape_passes import ScrapePasses
from dagster_tiktok.tiktok.client import TikTokClient, TikTokRejectionError
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.responses import Respond, html, redirect
from dagster_tiktok_tests.support.sample_pages import (
    CHALLENGE_PAGE,
    POST_ID,
    item,
    page,
    post_page,
    post_scope,
)
from dagster_tiktok_tests.support.settings import tiktok_settings
from dagster_tiktok_tests.support.tls_proxy import TlsProxy

pytestmark = pytest.mark.slow

T = TypeVar("T")
PAUSE = 0.3
NEVER = 3600.0
LAST: dict[str, Any] = {"attempts": 4, "is_last_try": True}
LAST_BUT_ONE = {"attempts": 3}
"""Tries that came before the last one."""
CHALLENGE = html(CHALLENGE_PAGE)
WALL = html(page(post_scope(None, code=10102)))
GONE = html(page(post_scope(None, code=10204, message="status_deleted")))
OEMBED = html(
    b'{"title": "A caption", "author_unique_id": "nasa", "embed_type": "video"}',
    headers={"X-Of": "oembed"},
)


def post_id(number: int) -> str:
    return str(int(POST_ID) + number)


def path_of(number: int) -> str:
    return f"/@_/video/{post_id(number)}"


def readable(number: int) -> Respond:
    return html(post_page(item(id=post_id(number), authorStats={"followerCount": 1})))


def unit(number: int, *, post: int | None = None, **fields: Any) -> Unit:
    tiktok_id = post_id(number if post is None else post)
    return Unit.model_validate(
        {
            "id": number,
            "source_key": f"key {number}",
            "slot": 0,
            "due_date": date(2026, 9, 22),
            "state": "pending",
            "tiktok_id": tiktok_id,
            "details": RowDetails(va_url=f"https://www.tiktok.com/@nasa/video/{tiktok_id}"),
            **fields,
        }
    )


class Run:
    """What the passes of a run left: results in order, and which are of a first scrape."""

    def __init__(self) -> None:
        self.results: list[ScrapeResult] = []
        self.at_first: list[int] = []
        self.rejected = False

    async def settle(self, result: ScrapeResult, at_first: bool) -> None:
        self.results.append(result)
        if at_first:
            self.at_first.append(result.unit_id)

    def result(self, number: int) -> ScrapeResult:
        (found,) = [result for result in self.results if result.unit_id == number]
        return found

    async def scrape(self, client: TikTokClient, units: Sequence[Unit], pause: float) -> Run:
        """As the stage does, one unit after the other in the first pass."""
        passes = ScrapePasses(client, self.settle)
        try:
            for each in units:
                await passes.first(each)
            await passes.again(pause)
            await passes.elsewhere()
        except TikTokRejectionError:
            self.rejected = True
        await passes.end()
        await passes.close()
        return self


def on_site(
    units: Sequence[Unit],
    script: Mapping[str, Sequence[Respond]],
    *,
    pause: float = PAUSE,
    **settings: object,
) -> tuple[Run, ScriptedServer]:
    async def run() -> tuple[Run, ScriptedServer]:
        async with ScriptedServer() as site:
            for path, replies in script.items():
                site.on(path, *replies)
            async with TikTokClient(
                tiktok_settings(site.url, **settings), pause_seconds=0
            ) as client:
                return await Run().scrape(client, units, pause), site

    return asyncio.run(run())


def with_server(check: Callable[[TikTokServer, Settings], Awaitable[T]], **settings: object) -> T:
    async def run() -> T:
        async with TikTokServer(World(posts=90)) as server:
            return await check(server, tiktok_settings(server.url, **settings))

    return asyncio.run(run())


@pytest.mark.parametrize(
    "fault",
    [
        CHALLENGE,
        WALL,
        html(b""),
        redirect("/login"),
        html(page({})),
        html(page(post_scope(None, code=-7))),
    ],
)
def test_another_pass_after_the_pause_reads_a_post_after_a_transient_failure(
    fault: Respond,
) -> None:
    units = [unit(1), unit(2), unit(3)]
    script = {path_of(n): [readable(n)] for n in (1, 3)} | {path_of(2): [fault, readable(2)]}

    run, site = on_site(units, script)

    assert [result.unit_id for result in run.results] == [1, 3, 2]
    assert {result.result for result in run.results} == {"scraped"}
    assert run.at_first == [1, 3]
    assert Counter(site.paths) == {path_of(1): 1, path_of(2): 2, path_of(3): 1}
    first, second = (seen.at for seen in site.requests if seen.path == path_of(2))
    assert second - first >= PAUSE


def test_a_failure_that_stays_gets_three_more_passes_and_one_result() -> None:
    run, site = on_site([unit(1), unit(2)], {path_of(1): [WALL], path_of(2): [readable(2)]})

    assert Counter(site.paths) == {path_of(1): 4, path_of(2): 1}
    times = [seen.at for seen in site.requests if seen.path == path_of(1)]
    assert all(later - before >= PAUSE for before, later in itertools.pairwise(times))
    assert len(run.results) == 2
    walled = run.result(1)
    assert (walled.result, walled.error_kind, walled.counted) == ("retry", "login_wall", True)


def test_a_failure_that_becomes_permanent_ends_the_passes_for_its_post() -> None:
    run, site = on_site([unit(1)], {path_of(1): [CHALLENGE, GONE]})
    assert (run.result(1).result, run.result(1).error_kind) == ("unavailable", "gone")
    assert len(site.requests) == 2


def test_permanent_failures_get_no_pause() -> None:
    units = [unit(1), unit(2), unit(3, tiktok_id=None, details=RowDetails(va_url="see dm"))]
    run, site = on_site(units, {path_of(1): [GONE], path_of(2): [readable(2)]}, pause=NEVER)
    assert [result.error_kind for result in run.results] == ["gone", None, "invalid_row"]
    assert run.at_first == [1, 2, 3]
    assert len(site.requests) == 2


def test_each_pass_requests_a_post_of_several_rows_once() -> None:
    code = "ZMabc1234"
    link = unit(
        3,
        tiktok_id=None,
        details=RowDetails(va_url=f"https://vm.tiktok.com/{code}/"),
        **LAST,
    )
    units = [unit(1, **LAST), unit(2, post=1, **LAST), link]
    script = {
        path_of(1): [WALL],
        f"/t/{code}/": [redirect(f"https://www.tiktok.com/@nasa/video/{post_id(1)}")],
        "/oembed": [OEMBED],
    }

    run, site = on_site(units, script)

    assert Counter(site.paths) == {path_of(1): 4, f"/t/{code}/": 1, "/oembed": 1}
    assert {result.result for result in run.results} == {"scraped"}
    assert {result.tiktok_id for result in run.results} == {post_id(1)}


def test_each_pass_requests_a_short_link_of_two_rows_once() -> None:
    code = "ZMabc1234"
    details = RowDetails(va_url=f"https://vm.tiktok.com/{code}/")
    units = [unit(n, tiktok_id=None, details=details) for n in (1, 2)]
    target = redirect(f"https://www.tiktok.com/@nasa/video/{post_id(1)}")

    run, site = on_site(units, {f"/t/{code}/": [CHALLENGE, target], path_of(1): [readable(1)]})

    assert Counter(site.paths) == {f"/t/{code}/": 2, path_of(1): 1}
    assert {result.result for result in run.results} == {"scraped"}


def test_the_rest_has_no_result_when_the_breaker_opens_in_the_first_pass() -> None:
    units = [unit(number) for number in range(1, 16)]
    run, site = on_site(units, {path_of(number): [CHALLENGE] for number in range(1, 16)})
    assert run.rejected
    assert len(site.requests) == 10
    assert [result.unit_id for result in run.results] == list(range(1, 11))
    assert {(r.result, r.counted) for r in run.results} == {("retry", False)}


def test_the_breaker_stays_closed_when_posts_stay_rejected() -> None:
    walled = range(1, 9)
    units = [unit(9), *(unit(number, **LAST) for number in walled), unit(10)]
    script: dict[str, Sequence[Respond]] = {path_of(number): [WALL] for number in walled}
    script |= {path_of(n): [readable(n)] for n in (9, 10)} | {"/oembed": [OEMBED]}

    run, site = on_site(units, script, tiktok_max_concurrency=1)

    assert not run.rejected
    assert Counter(run.result(n).result for n in range(1, 11)) == {"scraped": 10}
    # Eight at first, and five in a row of the further pass: the other three wait for a later run.
    assert sum(path in map(path_of, walled) for path in site.paths) == 8 + 5
    assert site.paths.count("/oembed") == 8


def test_one_more_rejection_ends_the_passes_after_a_pass_that_ended_with_rejections() -> None:
    units = [unit(number) for number in range(1, 8)]
    script = {path_of(number): [CHALLENGE] for number in range(1, 8)}
    run, site = on_site(units, script, tiktok_max_concurrency=1)
    assert len(site.requests) == 7 + 1
    assert {(result.result, result.counted) for result in run.results} == {("retry", False)}

    script[path_of(1)] = [CHALLENGE, readable(1)]
    run, site = on_site(units, script, tiktok_max_concurrency=1)
    assert run.result(1).result == "scraped"
    assert len(site.requests) == 7 + 1 + 5


def test_the_last_attempt_at_an_unreadable_page_asks_oembed() -> None:
    units = [
        unit(1, **LAST),
        unit(2, **LAST_BUT_ONE),
        unit(3, **LAST, slot=2),
    ]
    script = {path_of(n): [WALL] for n in (1, 2, 3)} | {"/oembed": [OEMBED]}

    run, site = on_site(units, script)

    found = run.result(1)
    assert found.result == "scraped"
    assert found.post is not None
    assert (found.post.scraping_method, found.post.data_quality) == ("oembed", "partial")
    assert (found.post.description, found.post.metrics) == ("A caption", Metrics())
    assert run.at_first == []
    assert run.result(2).result == "retry"
    assert run.result(3).result == "unavailable", "a daily scrape without metrics is worth nothing"
    assert site.paths.count("/oembed") == 1


@pytest.mark.parametrize(
    ("oembed", "kind", "words"),
    [
        (html(b'{"message": "Something went wrong"}', status=400), "gone", "does not exist"),
        (
            html(CHALLENGE_PAGE, status=400),
            "login_wall",
            "in 5 tries: set Status",
        ),
        (CHALLENGE, "login_wall", "in 5 tries: set Status"),
    ],
)
def test_the_last_attempt_ends_with_a_reason_when_oembed_has_no_post(
    oembed: Respond, kind: str, words: str
) -> None:
    script = {path_of(1): [WALL], "/oembed": [oembed], f"/embed/v2/{post_id(1)}": [html(b"")]}
    run, site = on_site([unit(1, **LAST)], script)
    ended = run.result(1)
    assert (ended.result, ended.error_kind) == ("unavailable", kind)
    assert words in (ended.error or "")
    assert f"/embed/v2/{post_id(1)}" in site.paths or kind == "gone"


def test_a_rejection_on_the_last_attempt_asks_no_other_source() -> None:
    run, site = on_site([unit(1, **LAST)], {path_of(1): [CHALLENGE]})
    assert (run.result(1).result, run.result(1).counted) == ("retry", False)
    assert set(site.paths) == {path_of(1)}


@pytest.mark.slow
def test_gallery_dl_is_asked_once_for_each_unreadable_post(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(server: TikTokServer, settings: Settings) -> None:
        posts = server.world.videos()[:3]
        with TlsProxy(("127.0.0.1", server.port), tmp_path) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "throwaway.pem"))
            # Four scrapes and the program's first request are challenged, as is its only one.
            server.faults.add(Fault("challenge", on="page", post_id=posts[0].tiktok_id, times=5))
            server.faults.add(Fault("unavailable", on="page", post_id=posts[1].tiktok_id,
                                    status_code=-7, status_msg=""))  # fmt: skip
            server.faults.add(Fault("status", on="page", post_id=posts[2].tiktok_id,
                                    status=429, retry_after=0))  # fmt: skip
            of_post = [[(0, 0), (3, 3)], [(1, 1)], [(2, 0)]]
            runs = []
            for post, units in zip(posts, of_post):
                async with TikTokClient(settings, pause_seconds=0) as client:
                    before = server.request_count
                    rows = [unit(n, tiktok_id=post.tiktok_id, slot=slot) for n, slot in units]
                    runs.append(await Run().scrape(client, rows, 0.1))
                    assert client.requests_made == server.request_count - before

        for number in (0, 3):
            found = runs[0].result(number).post
            assert found is not None
            assert found.scraping_method == "gallery-dl"
            assert found.metrics.views == posts[0].metrics.shown.views
        assert runs[1].result(1).error_kind == "unknown_status"
        assert runs[2].result(2).error_kind == "rate_limited"
        asked = Counter(entry.post_id for entry in server.log.selected(kind="page"))
        # Twenty by this project, five times each scrape: not one by the program.
        assert asked == {posts[0].tiktok_id: 6, posts[1].tiktok_id: 5, posts[2].tiktok_id: 20}

    with_server(check, tiktok_fallback="gallery-dl")
