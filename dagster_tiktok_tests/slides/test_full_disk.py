"""A disk that has no room for every slide: what fits is stored, the rest when there is room."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from dagster_tiktok.models import Post
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.settings import Settings
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.slides.test_mover import post_of
from dagster_tiktok_tests.support.cdn import Cdn
from dagster_tiktok_tests.support.hostile_images import segments
from dagster_tiktok_tests.support.images import jpeg
from dagster_tiktok_tests.support.slide_mover import Moved, Order, moved_elsewhere, settings_of

KB, MB = 1024, 1024 * 1024
SMALL = {f"small-{number}": jpeg(number) for number in range(24)}
LARGE = {f"large-{n}": segments(0xFE, bytes([n]) * 60 * KB, 25) for n in range(3)}
assert max(map(len, SMALL.values())) < 30 * KB
assert min(map(len, LARGE.values())) > 1.4 * MB


def small_disk(folder: Path, size: int) -> Sequence[str]:
    """What to put before a command so that it sees a filesystem of `size` bytes at `folder`."""
    mount = f'mount -t tmpfs -o size={size} tmpfs "{folder}"'
    for namespace in (["unshare", "--map-root-user", "--mount"], ["unshare", "--mount"]):
        prefix = [*namespace, "sh", "-c", f'{mount} && exec "$0" "$@"']
        if (
            shutil.which("unshare")
            and not subprocess.run([*prefix, "true"], check=False).returncode
        ):
            return prefix
    pytest.skip("the kernel lets this user mount nothing, not even in a namespace of its own")


def settings_for(
    make_settings: MakeSettings, supabase: SupabaseServer, cdn: Cdn, **overrides: object
) -> Settings:
    settings = make_settings(
        supabase_url=supabase.url,
        supabase_key=supabase.secret_key,
        slide_allowed_hosts=cdn.host,
        **overrides,
    )
    settings.slide_cache_dir.mkdir()
    return settings


def posts_of(cdn: Cdn) -> tuple[Post, ...]:
    """Three posts of eight small slides with a large one in their midst, and where each lies."""
    cdn.files = {**SMALL, **LARGE}
    posts = []
    for number, large in enumerate(LARGE):
        names = list(SMALL)[number * 8 : number * 8 + 8]
        names.insert(4, large)
        posts.append(post_of(*(cdn.slide(n, name) for n, name in enumerate(names, 1))))
    return tuple(posts)


async def check(first: Moved, second: Moved, cdn: Cdn) -> None:
    """Only the large slides failed, as the disk's fault, and the second round brought them.

    On the small disk they do not fit all at once there, so they have to wait for each other.
    """
    for failed in first.kinds.values():
        assert failed == {5: "disk_full"}
    for stored in first.stored.values():
        assert sorted(stored) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert all(failed == {} for failed in second.kinds.values())
    hashes = {hashlib.sha256(data).hexdigest() for data in cdn.files.values()}
    slides = [slide for stored in second.stored.values() for slide in stored.values()]
    async with httpx.AsyncClient() as browser:
        for slide in slides:
            data = (await browser.get(slide.public_url)).content
            assert hashlib.sha256(data).hexdigest() == slide.content_hash
    assert {slide.content_hash for slide in slides} == hashes
    assert {name: cdn.requested(name) for name in SMALL} == dict.fromkeys(SMALL, 1)


def test_slides_that_do_not_fit_on_the_disk_are_stored_later(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with Cdn() as cdn:
            settings = settings_for(make_settings, supabase, cdn)
            folder = settings.slide_cache_dir
            prefix = small_disk(folder, 4 * MB)
            order = Order(
                settings=settings_of(settings),
                posts=posts_of(cdn),
                ballast=(folder / "somebody else's", 3 * MB),
            )
            first, second = await moved_elsewhere(order, prefix=prefix)
            await check(first, second, cdn)
            assert all("disk of the slide cache is full" in text for text in first.messages)

    asyncio.run(run())


def test_slides_over_the_file_size_limit_are_stored_later(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with Cdn() as cdn:
            settings = settings_for(make_settings, supabase, cdn)
            order = Order(settings=settings_of(settings), posts=posts_of(cdn), file_bytes=512 * KB)
            first, second = await moved_elsewhere(order)
            await check(first, second, cdn)
            assert all("File too large" in text for text in first.messages)

    asyncio.run(run())
