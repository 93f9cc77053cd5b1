"""Files and responses that are made to harm the program that downloads or decodes them."""

from __future__ import annotations

import gzip
import struct
import zlib
from functools import lru_cache

from PIL import Image

from dagster_tiktok_tests.support.images import encoded, jpeg, noise
from dagster_tiktok_tests.support.responses import Respond, dripping, raw, respond

MB = 1024 * 1024
_PNG_START = b"\x89PNG\r\n\x1a\n"
HEAD_OF_PNG = len(_PNG_START) + 25
"""The start and IHDR: other chunks may follow there."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_jpeg(side: int) -> bytes:
    """A small image whose header announces another size."""
    data = bytearray(jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def segments(marker: int, data: bytes, times: int) -> bytes:
    """A JPEG with so many segments of metadata."""
    segment = struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data
    return jpeg()[:2] + segment * times + jpeg()[2:]


def many_images() -> bytes:
    """A JPEG whose index of further images (MPO) announces four thousand million of them."""
    entries = struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    entries += struct.pack(">HHII", 0xB001, 4, 1, 0xFFFF_FFF0)
    entries += struct.pack(">HHII", 0xB002, 7, 0xFFFF_FF00, 50)
    index = b"MPF\0MM\0*" + struct.pack(">IH", 8, 3) + entries + struct.pack(">I", 0)
    return segments(0xE2, index, 1)


@lru_cache
def zeros(megabytes: int) -> bytes:
    """So many zeros, deflated to a thousandth."""
    compressor = zlib.compressobj(9)
    packed = [compressor.compress(bytes(MB)) for _ in range(megabytes)]
    return b"".join(packed) + compressor.flush()


def with_chunks(chunks: bytes) -> bytes:
    png = encoded("PNG", noise(16, 16))
    return png[:HEAD_OF_PNG] + chunks + png[HEAD_OF_PNG:]


def text_bomb(megabytes: int, times: int = 1) -> bytes:
    return with_chunks(chunk(b"zTXt", b"note\0\0" + zeros(megabytes)) * times)


def profile_bomb(megabytes: int) -> bytes:
    return with_chunks(chunk(b"iCCP", b"profile\0\0" + zeros(megabytes)))


def flood(image_format: str, frames: int, side: int = 4) -> bytes:
    """An animation of very many frames. Each differs, or the encoder would merge them."""
    image = Image.new("RGB", (side, side))
    others = []
    for number in range(1, frames):
        other = image.copy()
        other.putpixel((number % side, 0), (number % 256, number // 256, 99))
        others.append(other)
    return encoded(image_format, image, save_all=True, append_images=others, duration=20)


def wide_gif() -> bytes:
    """A screen of four thousand million pixels with a frame of sixteen."""
    data = bytearray(encoded("GIF", noise(4, 4)))
    data[6:10] = b"\xff\xff\xff\xff"
    return bytes(data)


def wide_webp() -> bytes:
    """A canvas of 16,384 x 16,384 pixels around frames of sixteen."""
    data = bytearray(flood("WEBP", 3))
    canvas = data.index(b"VP8X") + 12
    data[canvas : canvas + 6] = b"\xff\x3f\0\xff\x3f\0"
    return bytes(data)


def wide_avif() -> bytes:
    data = bytearray(encoded("AVIF", noise(64, 64)))
    size = data.index(b"ispe") + 8
    data[size : size + 8] = struct.pack(">II", 50_000, 50_000)
    return bytes(data)


def packed(megabytes: int) -> Respond:
    """So many zeros as a body that a client would unpack."""
    body = gzip.compress(bytes(MB)) * megabytes
    return respond(body, content_type="image/jpeg", headers={"Content-Encoding": "gzip"})


def with_length(length: str, body: bytes) -> Respond:
    return raw(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + body)


def drip() -> Respond:
    """An image's first bytes, and then one every 20 ms for half an hour."""
    return dripping([jpeg()[:1000], *[b"\0"] * 90_000], 0.02)
