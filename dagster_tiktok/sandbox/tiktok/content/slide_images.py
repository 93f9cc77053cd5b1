"""The images of slides: real JPEG and WebP files that say which slide of which post they are.

If you open one in the bucket, you see at once whether it is the right one. Equal image keys
give equal bytes, so a test can compare hashes. Images are drawn on the first request, in a
thread, and kept in a bounded cache.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha256
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost, FakeSlide, ImageFormat
from dagster_tiktok.sandbox.tiktok.content.world import World

_FontLike = ImageFont.FreeTypeFont | ImageFont.ImageFont
_WORKERS = 2
_PHOTO_VARIANTS = 4
MIME_TYPES: dict[ImageFormat, str] = {"jpeg": "image/jpeg", "webp": "image/webp"}


@dataclass(frozen=True)
class DrawnImage:
    data: bytes
    mime_type: str
    sha256: str

    @property
    def etag(self) -> str:
        return f'"{self.sha256[:32]}"'


class SlideImages:
    """Draws and caches the images of a world.

    Arguments:
        cache_mb: how much to keep; what does not fit is drawn again on request.
    """

    def __init__(self, world: World, *, cache_mb: int = 64) -> None:
        self._world = world
        self._limit = cache_mb * 1024 * 1024
        self._size = 0
        self._cache: OrderedDict[str, DrawnImage] = OrderedDict()
        self._hashes: dict[str, str] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="slide-images")

    async def get(self, image_key: str) -> DrawnImage | None:
        """The image behind an image key, or None if the world has none such."""
        if image_key in self._cache:
            self._cache.move_to_end(image_key)
            return self._cache[image_key]
        found = self._world.image(image_key)
        if found is None:
            return None
        loop = asyncio.get_running_loop()
        image = await loop.run_in_executor(self._workers, draw, *found)
        if found[1].style == "drawn":  # photos are cheap to make and large
            self._keep(image_key, image)
        self._hashes[image_key] = image.sha256
        return image

    async def sha256(self, image_key: str) -> str:
        """The hash of an image's bytes; drawn if it has to be.

        Raises:
            KeyError: the world has no such image.
        """
        if image_key not in self._hashes and await self.get(image_key) is None:
            raise KeyError(image_key)
        return self._hashes[image_key]

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)

    def _keep(self, image_key: str, image: DrawnImage) -> None:
        if image_key in self._cache:  # drawn twice at once
            return
        self._cache[image_key] = image
        self._size += len(image.data)
        while self._size > self._limit:
            _, dropped = self._cache.popitem(last=False)
            self._size -= len(dropped.data)


def draw(post: FakePost, slide: FakeSlide) -> DrawnImage:
    """The file of a slide. Deterministic for one version of Pillow."""
    data = _photo(slide) if slide.style == "photo" else _drawn(post, slide)
    return DrawnImage(data, MIME_TYPES[slide.image_format], sha256(data).hexdigest())


def _drawn(post: FakePost, slide: FakeSlide) -> bytes:
    width, height = slide.width, slide.height
    red, green, blue = blake2b(slide.image_key.encode(), digest_size=3).digest()
    color = (60 + red // 2, 60 + green // 2, 60 + blue // 2)
    image = Image.new("RGB", (width, height), color)
    canvas = ImageDraw.Draw(image)
    border = width // 40
    frame = (border, border, width - border, height - border)
    canvas.rectangle(frame, outline="white", width=border // 3)
    number = f"{slide.number}/{post.slide_count}" if slide.number else "COVER"
    lines = (
        (f"@{post.account}", 0.18, 0.10),
        (number, 0.42, 0.34),
        (post.tiktok_id, 0.68, 0.09),
        (f"{width} x {height} {slide.image_format}", 0.82, 0.05),
    )
    for text, top, share in lines:
        size = min(int(width * share), int(1.5 * width / len(text)))
        position = (width / 2, height * top)
        canvas.text(position, text, fill="white", font=_font(size), anchor="mm")
    return _encode(image, slide.image_format)


def _photo(slide: FakeSlide) -> bytes:
    # One of a few ready noise images, made unique by a comment: no drawing, nothing to keep.
    variant = int(slide.image_key[:2], 16) % _PHOTO_VARIANTS
    base = _noise(slide.width, slide.height, slide.image_format, variant)
    note = slide.image_key.encode()
    if slide.image_format == "jpeg":
        comment = b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note
        return base[:2] + comment + base[2:]
    # WebP: an unknown chunk at the end, which readers skip, and the new size in the RIFF header.
    chunk = b"NOTE" + len(note).to_bytes(4, "little") + note
    return base[:4] + (len(base) + len(chunk) - 8).to_bytes(4, "little") + base[8:] + chunk


@lru_cache(maxsize=64)
def _noise(width: int, height: int, image_format: ImageFormat, variant: int) -> bytes:
    # Smooth noise over a gradient compresses like a photograph: 50 to 300 KB at these sizes.
    size, amplitude = (width // 2, height // 2), 0.25 + 0.1 * variant
    grains = random.Random(f"noise {width} {height} {variant}").randbytes(size[0] * size[1])
    coarse = Image.frombytes("L", size, grains).point(lambda v: 128 + (v - 128) * amplitude)
    grain = coarse.resize((width, height), Image.Resampling.BILINEAR)
    slope = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", (grain, slope, Image.blend(grain, slope, 0.5)))
    return _encode(image, image_format, quality=80)


def _encode(image: Image.Image, image_format: ImageFormat, quality: int = 75) -> bytes:
    file = BytesIO()
    if image_format == "jpeg":
        image.save(file, "JPEG", quality=quality)
    else:
        image.save(file, "WEBP", quality=quality, method=0)
    return file.getvalue()


def _font(size: int) -> _FontLike:
    return _load_font(size, threading.get_ident())


@lru_cache(maxsize=256)
def _load_font(size: int, _thread: int) -> _FontLike:
    # A FreeType face must not be used by two threads at once, hence one for each.
    return ImageFont.load_default(size)
