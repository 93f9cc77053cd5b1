from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from dagster_tiktok.clock import Clock
from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.models import Post
from dagster_tiktok.tiktok.client import TikTokClient, TikTokRejectionError
from dagster_tiktok.tiktok.failures import (
    FailureKind,
    PostError,
    PostUnavailableError,
    PostUnreadableError,
)
from dagster_tiktok.tiktok.links.post_links import PostRef
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.manual_clock import ManualClock
from dagster_tiktok_tests.support.responses import (
    Respond,
    endless,
    half_a_page,
    hang_up,
    html,
    redirect,
    status,
)
from dagster_tiktok_tests.support.sample_pages import (
    CHALLENGE_PAGE,
    POST_ID,
    STUB_PAGE,
    item,
    page,
    post_page,
    post_scope,
    profile_scope,
)
from dagster_tiktok_tests.support.settings import tiktok_settings

T = TypeVar("T")
PAGE = f"/@_/video/{POST_ID}"
CODE = "ZMabc1234"
LINK = PostRef(short_code=CODE)
NOWHERE = (
    "/notfound",
    "/404",
    "/foryou",
    "/en/",
    "/en",
    "/en/notfound",
    "/zh-Hant/404",
    "/de/foryou",
    "/pt-BR/",
    "/es-419/notfound/",
    "/NotFound?_r=1",
)
REGIONS = ("/hk/notfound", "/HK/notfound/", "/in/404", "/hk/", "/us", "/kr/foryou?x=1")

LOGINS = (
    "/login",
    "/en/login",
    "/en/login?redirect_url=x",
    "/zh-Hant/login/phone",
    "/DE/Login",
    "/fil/login",
    "/hk/login",
    "/signup",
)
INTERSTITIALS = (
    "/question/verify",
    "/live/wait",
    "/search",
    "/search?q=x",
    "/en/search",
    "/explore",
    "/explore?lang=en",
    "/discover/x",
    "/sticker/x",
    "/tag/verify",
    "/music/verify",
    "/verify/@a/video/1",
    "/@",
    "/@nasa/verify",
)
POSTS_INSIDE = (
    f"https://evil.example/(https://www.tiktok.com/@a/video/{POST_ID})",
    f"https://evil.example/?u=https://www.tiktok.com/@a/video/{POST_ID}",
    f"https://evil.example/;https://www.tiktok.com/@a/video/{POST_ID}",
    f"https://evil.example/@a/video/{POST_ID}",
    f"https://www.tiktok.com/x/(https://www.tiktok.com/@a/video/{POST_ID})",
)


def on_site(
    act: Callable[[ScriptedServer, TikTokClient], Awaitable[T]],
    *,
    pause_seconds: float = 0.0,
    keep: Path | None = None,
    clock: Clock | None = None,
    **settings: object,
) -> T:
    """What `act` returns, with a server and a client of it."""

    async def run() -> T:
        async with ScriptedServer(clock=clock) as site:
            client = TikTokClient(
                tiktok_settings(site.url, **settings),
                pause_seconds=pause_seconds,
                keep_unreadable_in=keep,
                clock=clock,
            )
            async with client:
                return await act(site, client)

    return asyncio.run(run())


async def failure_of(call: Awaitable[object]) -> PostError:
    with pytest.raises(PostError) as caught:
        await call
    return caught.value


def numbered(number: int) -> str:
    return str(int(POST_ID) + number)


def test_page_and_profile_make_a_complete_post() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> Post:
        site.on(PAGE, html(post_page(filler_bytes=300_000)))
        site.on("/@nasa", html(page(profile_scope())))
        post = await client.fetch_post(POST_ID)
        assert site.paths == [PAGE, "/@nasa"]
        assert client.requests_made == 2
        assert "Chrome" in site.requests[0].headers["User-Agent"]
        assert "gzip" in site.requests[0].headers["Accept-Encoding"]
        return post

    post = on_site(act)
    assert (post.followers, post.data_quality) == (1234567, "complete")
    assert post.post_url == f"https://www.tiktok.com/@nasa/video/{POST_ID}"


def test_concurrent_posts_of_an_account_request_its_profile_once() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        for number in range(8):
            site.on(f"/@_/video/{numbered(number)}", html(post_page(item(id=numbered(number)))))
        site.on("/@nasa", html(page(profile_scope()), delay=0.1))
        posts = await asyncio.gather(*(client.fetch_post(numbered(n)) for n in range(8)))
        assert {post.followers for post in posts} == {1234567}
        assert site.paths.count("/@nasa") == 1
        assert client.requests_made == 9

    on_site(act)


def test_no_profile_request_when_followers_are_known_or_not_wanted() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, html(post_page()), html(post_page(item(authorStats={"followerCount": 7}))))
        assert (await client.fetch_post(POST_ID, with_followers=False)).followers is None
        assert (await client.fetch_post(POST_ID)).followers == 7
        assert site.paths == [PAGE, PAGE]

    on_site(act)


def test_followers_agree_on_all_posts_of_an_account() -> None:
    """Post pages round the followers, profiles do not: two posts of one day contradicted."""

    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        rounded = item(authorStats={"followerCount": 1_200_000})
        rounded["author"] = {**rounded["author"], "uniqueId": "NASA"}
        site.on(PAGE, html(post_page()), html(post_page(rounded)))
        site.on("/@nasa", html(page(profile_scope())))
        posts = [await client.fetch_post(POST_ID) for _ in range(2)]
        assert [post.followers for post in posts] == [1_234_567, 1_234_567]

    on_site(act)


def test_followers_of_one_page_serve_the_next() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        with_count = item(authorStats={"followerCount": 1_200_000})
        site.on(PAGE, html(post_page(with_count)), html(post_page()))
        posts = [await client.fetch_post(POST_ID) for _ in range(2)]
        assert {(post.followers, post.data_quality) for post in posts} == {(1_200_000, "complete")}
        assert site.paths == [PAGE, PAGE]

    on_site(act)


@pytest.mark.parametrize(
    "profile",
    [
        html(CHALLENGE_PAGE),
        html(page({"webapp.user-detail": {"statusCode": 10221}})),
        html(page(profile_scope("another"))),
        html(CHALLENGE_PAGE, status=404),
        status(403),
    ],
)
def test_post_survives_a_failed_profile_request(
    profile: Respond,
) -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, html(post_page()))
        site.on("/@nasa", profile)
        for _ in range(2):
            post = await client.fetch_post(POST_ID)
            assert (post.followers, post.data_quality) == (None, "no_account")
        assert site.paths.count("/@nasa") == 1

    on_site(act)


@pytest.mark.parametrize(
    "fault", [status(500), status(503, Retry_After="0"), status(429), half_a_page, hang_up]
)
def test_transient_fault_is_retried(
    fault: Respond,
) -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, fault, html(post_page()))
        await client.fetch_post(POST_ID, with_followers=False)
        assert len(site.requests) == client.requests_made == 2

    on_site(act)


def test_retry_after_is_respected() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, status(429, Retry_After="1"), html(post_page()))
        await client.fetch_post(POST_ID, with_followers=False)
        assert site.requests[1].at - site.requests[0].at >= 1

    on_site(act)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (status(429, Retry_After="0"), FailureKind.RATE_LIMITED),
        (status(502, Retry_After="0"), FailureKind.SERVER_ERROR),
    ],
)
def test_failure_kind_when_retries_run_out(fault: Respond, kind: FailureKind) -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, fault)
        assert (await failure_of(client.fetch_post(POST_ID))).kind is kind
        assert 3 <= len(site.requests) <= 6

    on_site(act)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (html(CHALLENGE_PAGE), FailureKind.CHALLENGE),
        (html(STUB_PAGE), FailureKind.SHIELD),
        (html(b""), FailureKind.SHIELD),
        (status(403), FailureKind.SHIELD),
        (status(401), FailureKind.LOGIN_WALL),
        (redirect("/login?redirect_url=x"), FailureKind.LOGIN_WALL),
        (redirect("/en/login?redirect_url=x"), FailureKind.LOGIN_WALL),
        (redirect("/zh-Hant/login"), FailureKind.LOGIN_WALL),
        # The body, whatever the status.
        (html(CHALLENGE_PAGE, status=404), FailureKind.CHALLENGE),
        (html(STUB_PAGE, status=410), FailureKind.SHIELD),
        (html(b"", status=404), FailureKind.SHIELD),
        (redirect("/hk/notfound"), FailureKind.REGION_NOTICE),
        (redirect("https://www.tiktok.com/login/phone"), FailureKind.LOGIN_WALL),
        (redirect("https://evil.example/"), FailureKind.UNREADABLE),
        (redirect("http://169.254.169.254/latest"), FailureKind.UNREADABLE),
        (redirect("http://127.0.0.1:9/"), FailureKind.UNREADABLE),
        (redirect("http://[broken"), FailureKind.UNREADABLE),
        (html(post_page(item(id=numbered(1)))), FailureKind.WRONG_ID),
        (html(page(post_scope(None, code=10114))), FailureKind.SHIELD),
        (html(page(post_scope(None, code=10204, message="status_deleted"))), FailureKind.GONE),
        (endless(), FailureKind.UNREADABLE),
    ],
)
def test_rejection_is_never_retried(answer: Respond, kind: FailureKind) -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, answer)
        assert (await failure_of(client.fetch_post(POST_ID))).kind is kind
        assert site.paths == [PAGE]

    on_site(act)


def test_five_redirects_within_the_site_are_followed() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, redirect("/1"))
        for number in range(1, 4):
            site.on(f"/{number}", redirect(f"{site.url}/{number + 1}"))
        site.on("/4", redirect(f"https://www.tiktok.com/@nasa/video/{POST_ID}?x=1"))
        site.on(f"/@nasa/video/{POST_ID}", html(post_page()))
        await client.fetch_post(POST_ID, with_followers=False)
        assert len(site.requests) == client.requests_made == 6

        site.on(PAGE, redirect(PAGE))
        failure = await failure_of(client.fetch_post(POST_ID))
        assert (failure.kind, len(site.requests)) == (FailureKind.UNREADABLE, 12)

    on_site(act)


def test_cookies_are_sent_back() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, html(post_page(), headers={"Set-Cookie": "ttwid=1; Path=/"}))
        await client.fetch_post(POST_ID, with_followers=False)
        await client.fetch_post(POST_ID, with_followers=False)
        assert site.requests[1].headers["Cookie"] == "ttwid=1"

    on_site(act)


def test_failure_kind_when_the_server_is_gone() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> PostError:
        await site.close()
        return await failure_of(client.fetch_post(POST_ID))

    assert on_site(act).kind is FailureKind.NETWORK


def test_invalid_id_requests_nothing() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        failure = await failure_of(client.fetch_post("../@evil"))
        assert failure.kind is FailureKind.NOT_A_POST
        assert site.requests == []

    on_site(act)


def test_short_link_target_is_not_downloaded() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(f"/t/{CODE}/", redirect(f"https://www.tiktok.com/@nasa/photo/{POST_ID}?_r=1&_t=2"))
        refs = await asyncio.gather(*(client.resolve(LINK) for _ in range(3)))
        assert set(refs) == {PostRef(POST_ID, CODE, "nasa")}
        assert refs[0].key == LINK.key
        assert await client.resolve(refs[0]) is refs[0]
        assert site.paths == [f"/t/{CODE}/"]

    on_site(act)


@pytest.mark.parametrize(
    "target",
    [
        f"/@nasa/video/{POST_ID}?is_from_webapp=1&" + "x" * 3000,
        f"https://m.tiktok.com/v/{POST_ID}.html",
        f"https://vm.tiktok.com/{CODE}x/",
        "/t/another99/",
    ],
)
def test_short_link_targets_that_lead_to_the_post(
    target: str,
) -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        final = redirect(f"{site.url}/@nasa/video/{POST_ID}")
        site.on(f"/t/{CODE}/", redirect(target))
        site.on(f"/t/{CODE}x/", final)
        site.on("/t/another99/", final)
        assert (await client.resolve(LINK)).tiktok_id == POST_ID
        assert not any("video" in path for path in site.paths)

    on_site(act)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (redirect("https://www.tiktok.com/?_r=1"), FailureKind.DEAD_LINK),
        (redirect("/?_r=1"), FailureKind.DEAD_LINK),
        *((redirect(path), FailureKind.DEAD_LINK) for path in NOWHERE),
        *((redirect(path), FailureKind.REGION_NOTICE) for path in REGIONS),
        (redirect("https://www.tiktok.com/HK/notfound?x=1"), FailureKind.REGION_NOTICE),
        # What is not known ends nothing.
        (redirect("/hk/some-new-page"), FailureKind.UNKNOWN_STATUS),
        (redirect("/about"), FailureKind.UNKNOWN_STATUS),
        (redirect("/download?from=share"), FailureKind.UNKNOWN_STATUS),
        (redirect("/@nasa/video/"), FailureKind.UNKNOWN_STATUS),
        (redirect("/@nasa/video/73000"), FailureKind.UNKNOWN_STATUS),
        (redirect("https://play.google.com/store/apps"), FailureKind.UNKNOWN_STATUS),
        (redirect("snssdk1233://aweme/detail/1"), FailureKind.UNKNOWN_STATUS),
        (redirect("/some-new-page"), FailureKind.UNKNOWN_STATUS),
        (html(page({}), status=404), FailureKind.DEAD_LINK),
        (html(page({}), status=410), FailureKind.DEAD_LINK),
        # The body before the status: none of these is TikTok's own "not found".
        # It may be a dead link: no rejection, or ten of them would stop the run.
        (status(404), FailureKind.UNKNOWN_STATUS),
        *((html(CHALLENGE_PAGE, status=code), FailureKind.CHALLENGE) for code in (404, 410, 451)),
        (html(STUB_PAGE, status=404), FailureKind.UNKNOWN_STATUS),
        (html(b"<html>404 Not Found<hr>nginx</html>", status=404), FailureKind.UNKNOWN_STATUS),
        (html(b"please log in", status=410), FailureKind.UNKNOWN_STATUS),
        (html(b"<p>" + b"x" * 9000, status=404), FailureKind.UNREADABLE),
        (html(page(profile_scope()), status=404), FailureKind.UNREADABLE),
        # Pages whose names an interstitial may have.
        *((redirect(path), FailureKind.UNKNOWN_STATUS) for path in INTERSTITIALS),
        (redirect("https://www.tiktok.com/@nasa"), FailureKind.NOT_A_POST),
        (redirect("https://www.tiktok.com/@nasa/live"), FailureKind.NOT_A_POST),
        (redirect("https://evil.example/"), FailureKind.UNKNOWN_STATUS),
        (redirect("http://169.254.169.254/"), FailureKind.UNKNOWN_STATUS),
        (redirect("http://[::1:/x"), FailureKind.UNKNOWN_STATUS),
        (redirect("http://a:99999/"), FailureKind.UNKNOWN_STATUS),
        (redirect("https://www.tiktok.com@evil.example/"), FailureKind.UNKNOWN_STATUS),
        *((redirect(path), FailureKind.LOGIN_WALL) for path in LOGINS),
        # Exactly one URL is read in a redirect, not what a cell may hold.
        *((redirect(url), FailureKind.UNKNOWN_STATUS) for url in POSTS_INSIDE),
        (redirect("https://www.tiktok.com/music/x-7420633921946782469"), FailureKind.NOT_A_POST),
        (redirect(f"/t/{CODE}/"), FailureKind.UNREADABLE),
        (html(CHALLENGE_PAGE), FailureKind.CHALLENGE),
        (html(post_page()), FailureKind.UNREADABLE),
        (status(403), FailureKind.SHIELD),
    ],
)
def test_failure_kind_when_a_short_link_leads_to_no_post(
    answer: Respond, kind: FailureKind
) -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(f"/t/{CODE}/", answer)
        failure = await failure_of(client.resolve(LINK))
        assert failure.kind is kind
        assert isinstance(
            failure, PostUnavailableError if failure.failure.permanent else PostUnreadableError
        )
        assert set(site.paths) == {f"/t/{CODE}/"}

    on_site(act)


def test_no_more_requests_after_ten_rejections() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, html(CHALLENGE_PAGE))
        for _ in range(10):
            await failure_of(client.fetch_post(POST_ID))
        for call in (client.fetch_post(POST_ID), client.resolve(LINK)):
            with pytest.raises(TikTokRejectionError, match="TIKTOK_REQUESTS_PER_SECOND") as caught:
                await call
            assert isinstance(caught.value, ServiceUnavailableError)
        assert len(site.requests) == 10

    on_site(act)


def test_calls_wait_for_the_pause_after_five_rejections() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, *[html(CHALLENGE_PAGE)] * 5, html(post_page()))
        for _ in range(5):
            await failure_of(client.fetch_post(POST_ID))
        await asyncio.gather(*(client.fetch_post(POST_ID, with_followers=False) for _ in range(3)))
        # The pause begins when the fifth refusal has come, which is after it was asked for.
        assert min(seen.at for seen in site.requests[5:]) - site.requests[4].at == 60

    on_site(act, pause_seconds=60, clock=ManualClock())


def test_breaker_ignores_posts_that_are_gone() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, html(page(post_scope(None, code=10204, message="status_deleted"))))
        for _ in range(15):
            assert (await failure_of(client.fetch_post(POST_ID))).kind is FailureKind.GONE

    on_site(act)


def test_server_sees_rate_and_concurrency_limits() -> None:
    clock = ManualClock()

    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        for number in range(30):
            fault = [status(500, Retry_After="0")] if number % 5 == 0 else []
            site.on(
                f"/@_/video/{numbered(number)}",
                *fault,
                html(post_page(item(id=numbered(number))), delay=0.05),
            )
        site.on("/@nasa", html(page(profile_scope())))
        began = clock.now()
        await asyncio.gather(*(client.fetch_post(numbered(number)) for number in range(30)))
        assert len(site.requests) == client.requests_made == 30 + 6 + 1
        # Each had its turn, the retries too, and nothing else was waited for. How many fall within
        # a second is the limit's test.
        turns = (30 + 6 + 1 - 1) * 1.01 / 20
        assert clock.now() - began == pytest.approx(turns, abs=0.011)
        assert max(seen.at for seen in site.requests) == clock.now()
        assert site.most_at_once <= 3

    on_site(act, clock=clock, tiktok_requests_per_second=20, tiktok_max_concurrency=3)


def test_unreadable_pages_are_kept_up_to_a_limit(
    tmp_path: Path,
) -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        for number in range(60):
            path = f"/@_/video/{numbered(number)}"
            site.on(
                path,
                html(page({"webapp.new-shape": {}})),
                html(page(post_scope(None, code=10204, message="status_deleted"))),
            )
            await failure_of(client.fetch_post(numbered(number)))
            await failure_of(client.fetch_post(numbered(number)))

    on_site(act, keep=tmp_path / "kept")
    files = sorted(file.name for file in (tmp_path / "kept").iterdir())
    assert len(files) == 50
    assert files[-1] == f"{numbered(59)}-incomplete.json"
    assert "webapp.new-shape" in (tmp_path / "kept" / files[-1]).read_text()


def test_consecutive_clients_share_the_rate_limit() -> None:
    """Each stage, `doctor` and `repair` have their own client; with 1/s they asked 1 ms apart."""
    clock = ManualClock()

    async def run() -> list[float]:
        async with ScriptedServer(clock=clock) as site:
            site.on(PAGE, html(post_page()))
            settings = tiktok_settings(site.url, tiktok_requests_per_second=1.0)
            for _ in range(4):
                async with TikTokClient(settings, clock=clock) as client:
                    await client.fetch_post(POST_ID, with_followers=False)
            return [seen.at for seen in site.requests]

    times = asyncio.run(run())
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))


def test_account_in_place_of_the_post_ends_it_only_if_it_is_its_own() -> None:
    async def act(site: ScriptedServer, client: TikTokClient) -> None:
        site.on(PAGE, html(page(profile_scope("NASA", statusCode=10222))))
        for user, kind in (
            (None, FailureKind.INCOMPLETE),
            ("another", FailureKind.INCOMPLETE),
            ("nasa", FailureKind.PRIVATE),
        ):
            assert (await failure_of(client.fetch_post(POST_ID, user=user))).kind is kind

    on_site(act)
