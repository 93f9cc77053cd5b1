"""What a downloader must reject, in place of an image. Each is what it claims to be, and small."""

from __future__ import annotations

import struct
import zipfile
import zlib
from functools import lru_cache
from io import BytesIO

BOMB_SIDE_PIXELS = 50_000

SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
    b'<script>alert("slide")</script><rect width="9" height="9"/></svg>'
)

HTML_PAGE = (
    b"<!DOCTYPE html><html><head><title>Access Denied</title></head><body><h1>Access Denied</h1>"
    b"<p>You don't have permission to access this resource.</p></body></html>"
)


@lru_cache(maxsize=1)
def decompression_bomb() -> bytes:
    """A valid PNG of 50,000 x 50,000 black pixels in about 300 KB: 2.5 gigapixels when decoded."""
    header = struct.pack(">IIBBBBB", BOMB_SIDE_PIXELS, BOMB_SIDE_PIXELS, 1, 0, 0, 0, 0)
    row = bytes(1 + (BOMB_SIDE_PIXELS + 7) // 8)
    compressor = zlib.compressobj(9)
    rows = [compressor.compress(row * 100) for _ in range(BOMB_SIDE_PIXELS // 100)]
    data = b"".join(rows) + compressor.flush()
    chunks = _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", data) + _png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@lru_cache(maxsize=1)
def zip_file() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("payload.exe"), b"MZ" + bytes(5000))
    return file.getvalue()


def polyglot(image: bytes) -> bytes:
    """An image that is a ZIP archive as well: it decodes, and it unpacks."""
    return image + zip_file()


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
