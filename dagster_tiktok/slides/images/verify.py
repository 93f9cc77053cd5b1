"""Decides from the bytes, never from a name or a header, whether a file may be stored."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, PngImagePlugin, features

from dagster_tiktok.slides.failures import SlideError, slide_error
from dagster_tiktok.slides.images.containers import (
    DecompressionBombError,
    ImageFormat,
    end_of_image,
    only_padding,
    sniff,
)
from dagster_tiktok.slides.images.weighted_semaphore import WeightedSemaphore

MAX_PIXELS = 24_000_000
"""Real slides have up to 1440 x 2470 pixels (3.6 million)."""
_MAX_PIXELS_OF_ALL_FRAMES = 4 * MAX_PIXELS
_MAX_FRAMES = 300
_BYTES_A_PIXEL = {
    "JPEG": (1, 8),
    "MPO": (12, 12),
    "PNG": (4, 8),
    "GIF": (5, 21),
    "WEBP": (17, 17),
    "AVIF": (15, 49),
}
"""A decoder's measured peak: for a still image, and for an animation (of a JPEG: if progressive).
Besides the image it keeps coefficients, canvases and earlier frames."""
_decoding = WeightedSemaphore(80 * 1024 * 1024)
"""Bytes that all decoders together may hold, so that no mix of slides exhausts the memory: enough
for a portrait screenshot of 1440 x 3200 as WebP or AVIF. An image that alone needs more is
rejected."""

# Opening a PNG decompresses its text chunks; Pillow allows 64 MB of them per image.
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 1024 * 1024

MIME_TYPES: dict[ImageFormat, tuple[str, str]] = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
    "AVIF": ("image/avif", "avif"),
    "GIF": ("image/gif", "gif"),
}
"""Media type and extension by format. The bucket allows exactly these media types."""


@dataclass(frozen=True)
class ImageInfo:
    """`sha256` in hexadecimal, `size` in bytes, `width` and `height` in pixels as encoded."""

    width: int
    height: int
    mime_type: str
    extension: str
    sha256: str
    size: int


_SVG = re.compile(
    rb"(?is)\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!doctype\s+svg[^>]*>\s*)?<(?:[a-z]+:)?svg[\s>]"
)
# Characters that no text contains. Tabs, line ends, form feeds and escapes do occur.
_BINARY = frozenset(map(chr, {*range(32), 127} - {8, 9, 10, 11, 12, 13, 27}))


def inspect_image(path: Path, *, max_bytes: int, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Reads, verifies and fully decodes the file. Blocks: call it in a thread.

    Raises:
        SlideError: what is wrong with the file.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise slide_error("too_large", f"{size} bytes, {max_bytes} are allowed")
        data = file.readall()
    image_format = _supported_format(data)
    try:
        end = end_of_image(image_format, data)
    except DecompressionBombError as error:
        raise slide_error("bomb", f"{image_format}: {error}") from None
    if end is None:
        raise slide_error("truncated", f"the {image_format} stops after {len(data)} bytes")
    if not only_padding(data, end):
        raise slide_error("trailing_data", f"the {image_format} ends at {end} of {len(data)} bytes")
    width, height = _decode(data, image_format, max_pixels)
    mime_type, extension = MIME_TYPES[image_format]
    return ImageInfo(
        width=width,
        height=height,
        mime_type=mime_type,
        extension=extension,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )


def _supported_format(data: bytes) -> ImageFormat:
    if not data:
        raise slide_error("truncated", "the file is empty")
    image_format = sniff(data)
    if image_format == "AVIF" and not features.check("avif"):
        raise slide_error("unsupported_type", "this build of Pillow has no AVIF decoder")
    if image_format is not None:
        return image_format
    if _is_text(data):
        raise slide_error("not_an_image", repr(data[:40].decode("ascii", "replace")))
    raise slide_error("unsupported_type", f"it begins with {data[:8].hex(' ')}")


def _is_text(data: bytes) -> bool:
    # An error page with status 200 (HTML, XML, JSON or plain text in any encoding) says nothing
    # about the slide, so it is retried. An SVG or a PDF is an unsupported type; an error page may
    # contain an SVG as its logo.
    head = data[:512].removeprefix(b"\xef\xbb\xbf").rstrip(b"\0")
    if _SVG.match(head) or head.startswith((b"%PDF", b"%!PS")):
        return False
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = head.decode("utf-16", "replace")
    else:
        # A proxy's page may use any legacy encoding; its letters are mostly ASCII too.
        marked_up = head.lstrip()[:1] in (b"<", b"{", b"[")
        mostly_ascii = 4 * sum(byte < 128 for byte in head) >= 3 * len(head)
        encoding = "latin-1" if marked_up or mostly_ascii else "utf-8"
        try:
            # Incremental: the last character may be incomplete.
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            return False
    return not any(character in _BINARY for character in text)


def _decode(data: bytes, image_format: ImageFormat, max_pixels: int) -> tuple[int, int]:
    try:
        if image_format == "PNG":
            with _open(data, image_format, max_pixels) as image:
                image.verify()  # verifies the chunks' checksums; leaves the image unusable
        with ExitStack() as stack:
            image = stack.enter_context(_open(data, image_format, max_pixels))
            width, height = image.size
            stack.enter_context(_decoding.hold(_bytes_to_decode(image)))
            if image.format == "JPEG":
                # Decode at an eighth of the size: every coefficient is still read, so damage is
                # found as in a full decode; only arithmetic that can't fail is skipped. Half the
                # time and a sixty-fourth of the memory.
                image.draft(None, (max(1, width // 8), max(1, height // 8)))
            _load_every_frame(image)
    except SlideError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise slide_error(
            "bomb", f"more than the allowed {max_pixels / 1e6:g} million pixels"
        ) from None
    except Exception as error:
        # On corrupt bytes, Pillow's plugins raise nearly any exception. Each of them means that
        # this image can't be decoded, and no single slide may end the stage.
        raise slide_error("corrupt", f"{image_format}: {error or type(error).__name__}") from error
    return width, height


def _open(data: bytes, image_format: ImageFormat, max_pixels: int) -> Image.Image:
    """Reads only the header. Raises SlideError if decoding would take too much."""
    plugins = ("JPEG", "MPO") if image_format == "JPEG" else (image_format,)
    image = Image.open(BytesIO(data), formats=plugins)
    width, height = image.size
    if width * height > max_pixels:
        raise slide_error(
            "bomb", f"{width} x {height} pixels, {max_pixels / 1e6:g} million are allowed"
        )
    if (needed := _bytes_to_decode(image)) > _decoding.size:
        raise slide_error(
            "bomb",
            f"{width} x {height} pixels of {image_format} take {needed / 2**20:.0f} MB to decode, "
            f"{_decoding.size / 2**20:.0f} MB are allowed",
        )
    return image


def _bytes_to_decode(image: Image.Image) -> int:
    still, animated = _BYTES_A_PIXEL[image.format or ""]
    larger = image.info.get("progressive") or getattr(image, "is_animated", False)
    return image.width * image.height * (animated if larger else still)


def _load_every_frame(image: Image.Image) -> None:
    left = _MAX_PIXELS_OF_ALL_FRAMES
    for frame in range(_MAX_FRAMES + 1):
        try:
            image.seek(frame)
        except EOFError:
            return
        left -= image.width * image.height
        if left < 0:
            raise slide_error(
                "bomb",
                "its frames have more than the allowed "
                f"{_MAX_PIXELS_OF_ALL_FRAMES / 1e6:g} million pixels",
            )
        if frame == _MAX_FRAMES:
            raise slide_error("bomb", f"more than the allowed {_MAX_FRAMES} frames")
        image.load()
