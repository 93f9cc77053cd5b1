from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest

from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.cache.cache import SlideCache
from dagster_tiktok.slides.download import DownloadedSlide
from dagster_tiktok.slides.failures import SlideError
from dagster_tiktok.slides.images.verify import inspect_image
from dagster_tiktok.slides.paths import slide_path
from dagster_tiktok.slides.store import SlideStore, open_slide_store
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.support import responses
from dagster_tiktok_tests.support.fault_proxy import FaultProxy
from dagster_tiktok_tests.support.images import encoded, jpeg
from dagster_tiktok_tests.support.responses import Respond

Scene = Callable[[SlideStore, FaultProxy], Awaitable[None]]


def settings_of(
    make_settings: MakeSettings, supabase: SupabaseServer, **overrides: object
) -> Settings:
    return make_settings(
        **{"supabase_url": supabase.url, "supabase_key": supabase.secret_key, **overrides}
    )


def slide_of(folder: Path, data: bytes, *, cached: bool = False) -> DownloadedSlide:
    cache = SlideCache(folder, max_mb=50, min_free_mb=0)
    cache.prepare()
    entry = cache.open("slide")
    entry.restart()
    entry.write(data)
    entry.finish()
    return DownloadedSlide(
        path=entry.path,
        info=inspect_image(entry.path, max_bytes=10_000_000),
        url="https://p16.tiktokcdn.com/a",
        downloaded_at=datetime.now(timezone.utc),
        seconds=0.1,
        bytes=len(data),
        resumed=False,
        cached=cached,
        entry=entry,
    )


def play(
    make_settings: MakeSettings, supabase: SupabaseServer, scene: Scene, attempts: int = 2
) -> None:
    async def run() -> None:
        async with FaultProxy(supabase.url) as proxy:
            settings = settings_of(make_settings, supabase, supabase_url=proxy.url)
            async with open_slide_store(settings, attempts=attempts) as store:
                await scene(store, proxy)

    asyncio.run(run())


def test_the_path_of_a_slide(tmp_path: Path) -> None:
    info = slide_of(tmp_path, jpeg()).info
    assert slide_path("7123", 3, info) == f"7123/03-{info.sha256[:16]}.jpg"
    with pytest.raises(ValueError, match="not the path"):
        slide_path("../7123", 3, info)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_a_new_slide_is_public_and_cacheable(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path, image_format: str
) -> None:
    data = encoded(image_format)
    slide = slide_of(tmp_path, data)

    async def scene(store: SlideStore, proxy: FaultProxy) -> None:
        stored = await store.put("7001", 1, slide)
        assert stored.uploaded
        assert stored.public_url.startswith(proxy.url)
        response = httpx.get(stored.public_url.replace(proxy.url, supabase.url))
        assert response.content == data
        assert response.headers["content-type"] == slide.info.mime_type
        # The local Supabase keeps no cache control, so what was sent is looked at.
        assert b'name="cacheControl"\r\n\r\n31536000, immutable\r\n' in proxy.requests[0].body

    play(make_settings, supabase, scene)


def test_an_existing_object_is_kept(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    async def scene(store: SlideStore, proxy: FaultProxy) -> None:
        first = await store.put("7002", 1, slide_of(tmp_path, jpeg(2)))
        again = await store.put("7002", 1, slide_of(tmp_path, jpeg(2)))
        assert (first.uploaded, again.uploaded) == (True, False)
        assert first.public_url == again.public_url

    play(make_settings, supabase, scene)


def test_a_cached_slide_is_not_sent_when_its_object_exists(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    async def scene(store: SlideStore, proxy: FaultProxy) -> None:
        await store.put("7003", 1, slide_of(tmp_path, jpeg(3)))
        assert not (await store.put("7003", 1, slide_of(tmp_path, jpeg(3), cached=True))).uploaded
        assert proxy.uploads == 1
        assert (await store.put("7003", 2, slide_of(tmp_path, jpeg(3), cached=True))).uploaded

    play(make_settings, supabase, scene)


def test_a_broken_object_is_replaced(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    slide = slide_of(tmp_path, jpeg(4))

    async def scene(store: SlideStore, proxy: FaultProxy) -> None:
        async with open_supabase(settings_of(make_settings, supabase)) as client:
            await client.storage.from_("tiktok-slides").upload(
                slide_path("7004", 1, slide.info), jpeg(4)[:500], {"content-type": "image/jpeg"}
            )
        stored = await store.put("7004", 1, slide)
        direct = stored.public_url.replace(proxy.url, supabase.url)
        assert httpx.get(direct).content == jpeg(4)

    play(make_settings, supabase, scene)


def test_another_image_of_the_same_length_is_replaced(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    # A signed-in user may upload, and whoever has the slide can compute its path and its length.
    planted = b"<html>" + b"A" * (len(jpeg(5)) - 6)

    async def scene(store: SlideStore, proxy: FaultProxy) -> None:
        await store.put("7005", 1, slide_of(tmp_path, jpeg(6)))  # not the first of the run
        slide = slide_of(tmp_path, jpeg(5))
        async with open_supabase(settings_of(make_settings, supabase)) as client:
            await client.storage.from_("tiktok-slides").upload(
                slide_path("7005", 2, slide.info), planted, {"content-type": "image/jpeg"}
            )
        stored = await store.put("7005", 2, slide)
        direct = stored.public_url.replace(proxy.url, supabase.url)
        assert httpx.get(direct).content == jpeg(5)

    play(make_settings, supabase, scene)


@pytest.mark.parametrize("fault", [responses.status(500), responses.status(503), responses.hang_up])
def test_an_upload_is_retried_after_a_transient_fault(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path, fault: Respond
) -> None:
    async def scene(store: SlideStore, proxy: FaultProxy) -> None:
        proxy.faults = [fault]
        await store.put("7005", 1, slide_of(tmp_path, jpeg(5)))
        assert proxy.uploads == 2

    play(make_settings, supabase, scene)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (responses.status(500), "storage_unavailable"),
        (responses.html(b"<html>", status=520), "storage_unavailable"),
        (responses.html(b"<html>a proxy</html>"), "storage_unavailable"),
        (responses.storage_error(400, 413, "too large"), "storage_refused"),
        (responses.respond("too large", status=413, content_type="text/plain"), "storage_refused"),
        (responses.storage_error(400, 415, "mime type"), "storage_refused"),
    ],
)
def test_a_slide_fails_with_the_kind_of_a_fault_that_stays(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path, fault: Respond, kind: str
) -> None:
    async def scene(store: SlideStore, proxy: FaultProxy) -> None:
        proxy.always = fault
        with pytest.raises(SlideError) as caught:
            await store.put("7006", 1, slide_of(tmp_path, jpeg(6)))
        assert caught.value.kind == kind

    play(make_settings, supabase, scene)


def test_the_stage_ends_when_uploads_keep_failing(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    async def scene(store: SlideStore, proxy: FaultProxy) -> None:
        proxy.always = responses.status(500)
        slide = slide_of(tmp_path, jpeg(7))
        with pytest.raises(ServiceUnavailableError, match="in a row"):
            for number in range(1, 30):
                with pytest.raises(SlideError):
                    await store.put("7007", number, slide)
        assert proxy.uploads < 15

    play(make_settings, supabase, scene, attempts=1)


def test_a_missing_bucket_is_reported_by_variable(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    async def run() -> None:
        settings = settings_of(make_settings, supabase, supabase_bucket="elsewhere")
        async with open_slide_store(settings) as store:
            with pytest.raises(ConfigurationError, match="SUPABASE_BUCKET"):
                await store.check()
            with pytest.raises(ConfigurationError, match="SUPABASE_BUCKET"):
                await store.put("7008", 1, slide_of(tmp_path, jpeg()))

    asyncio.run(run())


def test_a_private_bucket_is_reported_by_variable(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    async def run() -> None:
        settings = settings_of(make_settings, supabase, supabase_bucket="private")
        async with open_supabase(settings) as client:
            await client.storage.create_bucket("private", options={"public": False})
        async with open_slide_store(settings) as store:
            with pytest.raises(ConfigurationError, match="SUPABASE_BUCKET"):
                await store.check()
            with pytest.raises(ConfigurationError, match="public"):
                await store.put("7009", 1, slide_of(tmp_path, jpeg()))

    asyncio.run(run())


def test_the_public_url_is_checked_when_the_first_object_exists(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    async def run() -> None:
        slide = slide_of(tmp_path, jpeg(12), cached=True)
        settings = settings_of(make_settings, supabase, supabase_bucket="once-public")
        path = slide_path("7012", 1, slide.info)
        async with open_supabase(settings) as client:
            await client.storage.create_bucket("once-public", options={"public": True})
            await client.storage.from_("once-public").upload(
                path, jpeg(12), {"content-type": "image/jpeg"}
            )
            async with open_slide_store(settings) as store:
                assert not (await store.put("7012", 1, slide)).uploaded
            await client.storage.update_bucket("once-public", {"public": False})
        async with open_slide_store(settings) as store:
            with pytest.raises(ConfigurationError, match=r"SUPABASE_BUCKET \('once-public'\)"):
                await store.put("7012", 1, slide)

    asyncio.run(run())


def test_a_key_without_write_access_is_reported_by_variable(
    make_settings: MakeSettings, supabase: SupabaseServer, tmp_path: Path
) -> None:
    async def run() -> None:
        settings = settings_of(make_settings, supabase, supabase_key="sb_secret_of_another_project")
        async with open_slide_store(settings) as store:
            with pytest.raises(ConfigurationError, match="SUPABASE_KEY"):
                await store.put("7010", 1, slide_of(tmp_path, jpeg()))

    asyncio.run(run())


def test_the_stage_ends_when_supabase_is_unreachable(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    async def run() -> None:
        async with open_slide_store(make_settings(), attempts=1) as store:
            with pytest.raises(ServiceUnavailableError):
                await store.check()
            with pytest.raises(ServiceUnavailableError):
                await store.put("7011", 1, slide_of(tmp_path, jpeg()))

    asyncio.run(run())
