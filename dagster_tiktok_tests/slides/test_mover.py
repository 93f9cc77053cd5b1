from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any

import httpx
import pytest
from aiohttp import web

from dagster_tiktok.clock import utc_now
from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.models import Post, SlideSource, StoredSlide
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.slides.download import SlideDownloader
from dagster_tiktok.slides.failures import SlideUrlExpiredError
from dagster_tiktok.slides.mirrors import cache_key, live_mirrors
from dagster_tiktok.slides.mover import FetchPost, OnSlide, SlideMover, slides_wanted
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.tiktok.failures import (
    FAILURES,
    FailureKind,
    PostError,
    PostUnavailableError,
    PostUnreadableError,
)
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.support import responses
from dagster_tiktok_tests.support.cdn import Cdn
from dagster_tiktok_tests.support.fault_proxy import FaultProxy
from dagster_tiktok_tests.support.images import jpeg

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
_ids = count(7_400_000_000_000_000_000)
_seeds = count(1)


def post_of(*slides: SlideSource, tiktok_id: str | None = None) -> Post:
    tiktok_id = tiktok_id or str(next(_ids))
    return Post(
        tiktok_id=tiktok_id,
        post_url=f"https://www.tiktok.com/@_/video/{tiktok_id}",
        posted_at=NOW,
        scraped_at=NOW,
        slides=slides,
    )


def stored_of(number: int, image_key: str | None = None) -> StoredSlide:
    return StoredSlide(
        slide_number=number,
        slide_url="https://p16.tiktokcdn.com/a",
        storage_path=f"1/{number:02d}-a.jpg",
        public_url="https://example.com/a.jpg",
        file_size=1,
        width=1,
        height=1,
        mime_type="image/jpeg",
        content_hash="a" * 64,
        image_key=image_key,
        downloaded_at=NOW,
        uploaded_at=NOW,
    )


@dataclass
class Stage:
    cdn: Cdn
    storage: FaultProxy
    make_settings: MakeSettings
    overrides: dict[str, Any] = field(default_factory=dict)

    def carousel(self, slides: int, *, lives_for: float = 1000) -> Post:
        """A post of images that no other post has."""
        names = [f"slide-{next(_seeds)}" for _ in range(slides)]
        self.cdn.files |= {name: jpeg(zlib.crc32(name.encode())) for name in names}
        return post_of(
            *(
                self.cdn.slide(number, name, lives_for=lives_for)
                for number, name in enumerate(names, 1)
            )
        )

    def paths(self, post: Post) -> list[str]:
        return [source.mirrors[0].split("/")[3].split("?")[0] for source in post.slides]

    def renewed(self, post: Post) -> Post:
        """The same post with fresh URLs, as its page would give them."""
        slides = (self.cdn.slide(number, path) for number, path in enumerate(self.paths(post), 1))
        return post_of(*slides, tiktok_id=post.tiktok_id)

    @asynccontextmanager
    async def mover(
        self,
        refresh: FetchPost | None = None,
        on_slide: OnSlide | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> AsyncIterator[SlideMover]:
        settings = self.make_settings(**self.overrides)
        async with (
            SlideDownloader(settings, max_wait=0.05, attempts=2, now=now) as downloader,
            open_slide_store(settings, attempts=2, now=now) as store,
        ):
            yield SlideMover(downloader, store, refresh=refresh, on_slide=on_slide)


@asynccontextmanager
async def on_stage(
    make_settings: MakeSettings, supabase: SupabaseServer, **overrides: Any
) -> AsyncIterator[Stage]:
    async with Cdn() as cdn, FaultProxy(supabase.url) as storage:
        yield Stage(
            cdn,
            storage,
            make_settings,
            {
                "supabase_url": storage.url,
                "supabase_key": supabase.secret_key,
                "slide_allowed_hosts": cdn.host,
                **overrides,
            },
        )


def test_only_missing_and_changed_slides_are_wanted() -> None:
    sources = [
        SlideSource(number=number, mirrors=("https://tiktokcdn.com/a",), image_key=key)
        for number, key in enumerate(["a" * 32, "b" * 32, "c" * 32, None, "e" * 32], 1)
    ]
    stored = [
        stored_of(1, "a" * 32),
        stored_of(2, "f" * 32),
        stored_of(3, None),
        stored_of(4, "d" * 32),
    ]
    assert [slide.number for slide in slides_wanted(post_of(*sources), stored)] == [2, 5]


def test_every_slide_of_a_carousel_is_stored_in_order_and_public(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        settled: list[object] = []
        async with (
            on_stage(make_settings, supabase) as stage,
            stage.mover(on_slide=settled.append) as mover,
            httpx.AsyncClient() as browser,
        ):
            posts = [stage.carousel(slides) for slides in (1, 6, 12)]
            for post, result in zip(
                posts, await asyncio.gather(*map(mover.move, posts)), strict=True
            ):
                assert result.complete
                assert result.refreshed_post is None
                count_of = len(post.slides)
                assert [s.slide_number for s in result.slides] == list(range(1, count_of + 1))
                assert result.stats.uploaded == result.stats.downloaded == count_of
                for slide, path in zip(result.slides, stage.paths(post), strict=True):
                    data = stage.cdn.files[path]
                    assert slide.content_hash == hashlib.sha256(data).hexdigest()
                    assert slide.storage_path.startswith(
                        f"{post.tiktok_id}/{slide.slide_number:02d}-{slide.content_hash[:16]}"
                    )
                    assert (await browser.get(slide.public_url)).content == data
            assert len(settled) == 19
            assert all(stage.cdn.requested(path) == 1 for path in stage.cdn.files)

    asyncio.run(run())


def test_nothing_is_requested_when_all_slides_are_stored(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage, stage.mover() as mover:
            post = stage.carousel(35)
            stored = [stored_of(s.number, s.image_key) for s in post.slides]
            result = await mover.move(post, stored)
            assert list(result.slides) == stored
            assert (result.stats.skipped, result.stats.downloaded) == (35, 0)
            assert not stage.cdn.requests
            assert not stage.storage.requests

    asyncio.run(run())


def test_a_video_has_nothing_to_move(make_settings: MakeSettings, supabase: SupabaseServer) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage, stage.mover() as mover:
            result = await mover.move(post_of())
            assert result.complete
            assert result.slides == ()

    asyncio.run(run())


def test_one_broken_slide_fails_alone_and_its_post_is_incomplete(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage:
            post = stage.carousel(6)
            stage.cdn.on(stage.paths(post)[2], responses.status(404))
            async with stage.mover() as mover:
                result = await mover.move(post)
                assert [s.slide_number for s in result.slides] == [1, 2, 4, 5, 6]
                assert [(f.number, f.kind) for f in result.failures] == [(3, "not_found")]
                assert result.failures[0].message.startswith("Slide 3: The slide no longer exists")
                assert result.stats.by_kind == {"not_found": 1}
                stage.cdn.script.clear()
                repaired = await mover.move(post, result.slides)
                assert repaired.complete
                assert (repaired.stats.skipped, repaired.stats.uploaded) == (5, 1)

    asyncio.run(run())


def test_a_slide_that_the_bucket_rejects_fails_alone(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage, stage.mover() as mover:
            stage.storage.faults = [responses.storage_error(400, 413, "too large")]
            result = await mover.move(stage.carousel(6))
            assert len(result.slides) == 5
            assert [failure.kind for failure in result.failures] == ["storage_refused"]

    asyncio.run(run())


def test_every_slide_is_stored_when_the_clock_is_three_days_ahead(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    def ahead() -> datetime:
        return utc_now() + timedelta(days=3)

    async def refresh(_: str) -> Post:
        raise AssertionError("the URLs are fresh: only a wrong clock says otherwise")

    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage:
            post = stage.carousel(3).model_copy(update={"scraped_at": ahead()})
            async with stage.mover(refresh, now=ahead) as mover:
                result = await mover.move(post)
            assert result.complete and len(result.slides) == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("lives_for", "read_hours_ago", "is_live"),
    [
        (40 * 3600, 0, True),
        (1, 39.9, True),
        (-1, 40, False),  # TikTok gave it 40 hours, and they are over
        (-1, None, False),  # nobody knows when the page was read
        (-40 * 3600, 0, True),  # over before the page was read: the clocks disagree
        (-1, 0, True),
    ],
)
def test_expiry_is_measured_from_the_reading_of_the_page(
    lives_for: float, read_hours_ago: float | None, is_live: bool
) -> None:
    expires = int(NOW.timestamp() + lives_for)
    url = f"https://p16.tiktokcdn.com/a?x-expires={expires}&x-signature=a"
    hours = read_hours_ago
    read_at = None if hours is None else NOW - timedelta(hours=hours)
    source = SlideSource(number=1, mirrors=(url,))
    if is_live:
        assert live_mirrors(source, now=NOW, page_read_at=read_at) == [url]
    else:
        with pytest.raises(SlideUrlExpiredError):
            live_mirrors(source, now=NOW, page_read_at=read_at)


@pytest.mark.parametrize("how", ["x-expires has passed", "403"])
def test_the_page_is_fetched_once_when_urls_have_expired(
    make_settings: MakeSettings, supabase: SupabaseServer, how: str
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage:
            post = stage.carousel(12, lives_for=-1 if how != "403" else 1000)
            read_at = utc_now() - timedelta(hours=40)
            post = post.model_copy(update={"scraped_at": read_at})
            if how == "403":
                for path in stage.paths(post):
                    stage.cdn.on(path, responses.status(403), responses.whole_file)
            fetched = []

            async def refresh(tiktok_id: str) -> Post:
                fetched.append(tiktok_id)
                await asyncio.sleep(0.02)
                return stage.renewed(post).model_copy(
                    update={
                        "slides": tuple(
                            slide.model_copy(update={"mirrors": (slide.mirrors[0] + "&fresh=1",)})
                            for slide in stage.renewed(post).slides
                        )
                    }
                )

            async with stage.mover(refresh) as mover:
                result = await mover.move(post)
            assert fetched == [post.tiktok_id]
            assert result.complete
            assert result.refreshed_post is not None
            assert result.stats.refreshed_posts == 1
            assert all(slide.slide_url.endswith("&fresh=1") for slide in result.slides)

    asyncio.run(run())


def test_all_slides_are_stored_when_the_new_page_shows_more(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage:
            post = stage.carousel(5)
            known = [slide.model_copy(update={"mirrors": ()}) for slide in post.slides[:2]]

            async def refresh(_: str) -> Post:
                return post

            async with stage.mover(refresh) as mover:
                result = await mover.move(post.model_copy(update={"slides": tuple(known)}))
                assert mover.wanted == 5
            assert result.complete
            assert [slide.slide_number for slide in result.slides] == [1, 2, 3, 4, 5]

    asyncio.run(run())


def test_posts_that_name_one_image_each_get_their_own_bytes() -> None:
    slide = SlideSource(number=1, mirrors=("https://tiktokcdn.com/a",), image_key="a" * 32)
    assert cache_key("1", slide) != cache_key("2", slide)


def test_the_page_is_fetched_once_when_urls_stay_expired(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage:
            post = stage.carousel(6)
            stage.cdn.on(stage.paths(post)[0], responses.status(403))
            fetched = []

            async def refresh(tiktok_id: str) -> Post:
                fetched.append(tiktok_id)
                return stage.renewed(post)

            async with stage.mover(refresh) as mover:
                result = await mover.move(post)
            assert len(fetched) == 1
            assert [failure.kind for failure in result.failures] == ["expired"]
            assert len(result.slides) == 5

    asyncio.run(run())


def test_the_page_is_fetched_once_for_a_slide_without_a_url(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage:
            post = stage.carousel(3)
            first, second, third = post.slides
            bare = post.model_copy(
                update={
                    "slides": (
                        first,
                        second.model_copy(update={"mirrors": ()}),
                        third.model_copy(update={"mirrors": ()}),
                    )
                }
            )
            fetched = []

            async def refresh(tiktok_id: str) -> Post:
                fetched.append(tiktok_id)
                return post.model_copy(update={"slides": (first, second, bare.slides[2])})

            async with stage.mover(refresh) as mover:
                result = await mover.move(bare)
            assert fetched == [post.tiktok_id]
            assert [slide.slide_number for slide in result.slides] == [1, 2]
            assert [(f.number, f.kind) for f in result.failures] == [(3, "not_found")]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (PostUnavailableError(FAILURES[FailureKind.GONE]), "page_unavailable", "deleted"),
        (PostUnreadableError(FAILURES[FailureKind.INCOMPLETE]), "page_unavailable", "no fresh URL"),
        (PostUnreadableError(FAILURES[FailureKind.SHIELD]), "page_refused", "blocked our request"),
    ],
)
def test_expired_slides_say_why_the_page_gave_no_urls(
    make_settings: MakeSettings,
    supabase: SupabaseServer,
    error: PostError,
    kind: str,
    said: str,
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage:
            post = stage.carousel(3, lives_for=-1)
            fetched = []

            async def refresh(tiktok_id: str) -> Post:
                fetched.append(tiktok_id)
                raise error

            async with stage.mover(refresh) as mover:
                result = await mover.move(post)
            assert len(fetched) == 1
            assert {failure.kind for failure in result.failures} == {kind}
            assert said in result.failures[0].message

    asyncio.run(run())


def test_the_stage_ends_when_tiktok_rejects_everything(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage:

            async def refresh(tiktok_id: str) -> Post:
                raise ServiceUnavailableError("the breaker is open")

            async with stage.mover(refresh) as mover:
                with pytest.raises(ServiceUnavailableError):
                    await mover.move(stage.carousel(6, lives_for=-1))
                assert not [task for task in asyncio.all_tasks() if "SlideMover" in repr(task)]

    asyncio.run(run())


def test_each_slide_is_moved_once_when_two_units_share_a_post(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase) as stage, stage.mover() as mover:
            post = stage.carousel(6)
            one, other = await asyncio.gather(mover.move(post), mover.move(post))
            assert one.complete
            assert other.complete
            assert [s.public_url for s in one.slides] == [s.public_url for s in other.slides]
            assert one.stats.uploaded + other.stats.uploaded == 6
            assert all(stage.cdn.requested(path) == 1 for path in stage.paths(post))

    asyncio.run(run())


def test_no_finished_slide_is_requested_again_after_an_interrupted_run(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with on_stage(make_settings, supabase, slide_max_concurrent_downloads=3) as stage:
            stage.cdn.delay = 0.02
            posts = [stage.carousel(6) for _ in range(5)]

            async def move_all() -> list[bool]:
                async with stage.mover() as mover:
                    results = await asyncio.gather(*map(mover.move, posts))
                return [result.complete for result in results]

            broken_off = asyncio.ensure_future(move_all())
            while len(stage.cdn.requests) < 12 and not broken_off.done():
                await asyncio.sleep(0.005)
            broken_off.cancel()
            with pytest.raises(asyncio.CancelledError):
                await broken_off
            assert all(await move_all())
            # In flight are the three that were being downloaded and those that were being
            # verified: nine slides at most in all (`SlideMover`).
            assert len(stage.cdn.requests) <= 30 + 9

    asyncio.run(run())


def test_the_first_slides_are_stored_while_others_are_downloaded(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        first_is_stored, others_arrived = asyncio.Event(), asyncio.Event()

        async def after_the_first(request: web.Request) -> web.StreamResponse:
            await first_is_stored.wait()
            return await responses.whole_file(request)

        async def while_others_arrive(request: web.Request) -> web.StreamResponse:
            others_arrived.set()
            return await responses.whole_file(request)

        async with (
            on_stage(make_settings, supabase, slide_max_concurrent_downloads=2) as stage,
            stage.mover(on_slide=lambda _: first_is_stored.set()) as mover,
        ):
            post = stage.carousel(12)
            paths = stage.paths(post)
            # The last slides are given only when a first one is stored, and no upload ends before
            # the CDN has been asked for a third slide: whoever does one after the other, waits.
            stage.cdn.on(paths[2], while_others_arrive)
            for path in paths[8:]:
                stage.cdn.on(path, after_the_first)
            stage.storage.until = others_arrived.wait
            assert (await mover.move(post)).complete

    asyncio.run(run())
