from __future__ import annotations

import asyncio
import time
from io import BytesIO

import pytest
from PIL import Image

from dagster_tiktok.sandbox.tiktok.content.slide_images import SlideImages, draw
from dagster_tiktok.sandbox.tiktok.content.slide_urls import SlideSigner, image_key, image_path
from dagster_tiktok.sandbox.tiktok.content.world import World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("style", ["drawn", "photo"])
def test_images_are_deterministic_and_unique(
    style: str,
) -> None:
    # Of a fixed time: the posts, and so the sizes of their images, follow the clock.
    world = World(
        posts=4,
        only="carousel",
        slide_count=4,
        slide_style=style,  # type: ignore[arg-type]
        now=1_790_000_000.0,
    )
    hashes = set()
    for post in world.posts:
        for slide in post.slides:
            drawn = draw(post, slide)
            assert drawn == draw(post, slide)
            image = Image.open(BytesIO(drawn.data))
            image.load()
            assert image.size == (slide.width, slide.height)
            hashes.add(drawn.sha256)
            if style == "photo":
                assert 50_000 < len(drawn.data) < 500_000
    assert len(hashes) == 16


def test_evicted_images_are_drawn_again_with_the_same_bytes() -> None:
    async def run() -> None:
        world = World(posts=60)
        images = SlideImages(world, cache_mb=0)
        key = world.carousels(6)[0].slides[0].image_key
        first = await images.get(key)
        assert first is not None
        assert await images.get(key) == first
        assert await images.sha256(key) == first.sha256
        assert await images.get("0" * 32) is None
        images.close()

    asyncio.run(run())


def test_image_path_has_the_key() -> None:
    for digit in "0123456789abcdef":
        key = digit * 32
        assert image_key(image_path(key)) == key
    assert image_key("/tos-x-i-photomode-us/short~tplv-photomode-image.jpeg") is None


def test_expiry_is_a_full_hour() -> None:
    (first_url, _) = SlideSigner(b"k", 40 * 3600).make_urls("http://x", "a" * 32)
    expires = int(first_url.split("x-expires=")[1].split("&")[0])
    assert expires % 3600 == 0
    assert 39.5 * 3600 < expires - time.time() <= 48 * 3600
