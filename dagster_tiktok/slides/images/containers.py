"""Detects the format of an image and where the image ends, from the bytes alone.

Decoders are lenient: they stop at the end of the image and ignore what follows, and some accept a
missing end. So this module finds the end itself. A file that stops before it is truncated. A file
that continues after it carries something else (a ZIP after a JPEG is both a valid image and a valid
archive), which does not belong in a public bucket.
"""

from __future__ import annotations

import re
import struct
from typing import Literal

ImageFormat = Literal["JPEG", "PNG", "WEBP", "GIF", "AVIF"]

_JPEG_START = b"\xff\xd8\xff"
_PNG_START = b"\x89PNG\r\n\x1a\n"
# In entropy-coded data, 0xFF is followed by 0x00 (a stuffed byte), by a restart marker or by
# another 0xFF (fill): anything else is the next segment (ITU-T T.81, B.1.1).
_JPEG_NEXT_SEGMENT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_PADDING = b"\0\r\n\t "
# ISO/IEC 14496-12: the top-level boxes of a still image or a sequence.
_ISO_BOXES = frozenset(
    {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"styp", b"moof", b"mfra"}
)


_MAX_PARTS = 10_000
"""Segments, chunks or blocks per file. Decoders need up to a kilobyte for each; files of 20 MB
from real encoders have a few thousand."""
_MAX_SCANS = 100
"""Per JPEG. Each covers the whole image; encoders write about ten."""


class DecompressionBombError(Exception):
    """A few bytes that would take much time or memory to decode."""


def sniff(data: bytes) -> ImageFormat | None:
    """The format according to the first bytes; None if it is not supported."""
    if data.startswith(_JPEG_START):
        return "JPEG"
    if data.startswith(_PNG_START):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[4:8] == b"ftyp" and (b"avif" in data[8:64] or b"avis" in data[8:64]):
        return "AVIF"
    return None


def end_of_image(image_format: ImageFormat, data: bytes) -> int | None:
    """The offset of the first byte after the image, or None if the data is truncated.

    Raises:
        DecompressionBombError: it has more parts than any real image, or a frame beyond its edges.
    """
    walk = {
        "JPEG": _end_of_jpeg,
        "PNG": _end_of_png,
        "WEBP": _end_of_webp,
        "GIF": _end_of_gif,
        "AVIF": _end_of_avif,
    }[image_format]
    try:
        end = walk(data)
    except (IndexError, struct.error):
        return None
    return end if end is not None and end <= len(data) else None


def only_padding(data: bytes, start: int) -> bool:
    """Whether only zero bytes and white space follow: some encoders pad."""
    return not data[start:].strip(_PADDING)


def _end_of_jpeg(data: bytes) -> int | None:
    position = 0
    # A multi-picture file (MPO) is several JPEGs in a row.
    while data.startswith(_JPEG_START, position):
        end = _end_of_one_jpeg(data, position)
        if end is None:
            return None
        position = end
    return position


def _end_of_one_jpeg(data: bytes, start: int) -> int | None:
    position = start + 2
    scans = 0
    for _ in range(_MAX_PARTS):
        while data[position] == 0xFF and data[position + 1] == 0xFF:
            position += 1
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        position += 2
        if marker == 0xD9:
            return position
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue
        position += struct.unpack_from(">H", data, position)[0]
        if marker == 0xDA:
            scans += 1
            if scans > _MAX_SCANS:
                raise DecompressionBombError(f"more than {_MAX_SCANS} scans")
            following = _JPEG_NEXT_SEGMENT.search(data, position)
            if following is None:
                return None
            position = following.start()
    raise DecompressionBombError(f"more than {_MAX_PARTS} segments")


def _end_of_png(data: bytes) -> int:
    position: int = len(_PNG_START)
    for _ in range(_MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        position += length + 12
        if kind == b"IEND":
            return position
    raise DecompressionBombError(f"more than {_MAX_PARTS} chunks")


def _end_of_webp(data: bytes) -> int:
    size = int(struct.unpack_from("<I", data, 4)[0])
    end = size + 8
    # RIFF pads an odd chunk; writers disagree on whether the padding is counted.
    return end + 1 if size % 2 and data[end : end + 1] == b"\0" else end


def _end_of_gif(data: bytes) -> int:
    def behind_color_table(position: int, flags: int) -> int:
        return position + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)

    screen_width, screen_height = struct.unpack_from("<HH", data, 6)
    position = behind_color_table(13, data[10])
    for _ in range(_MAX_PARTS):
        block = data[position]
        if block == 0x3B:
            return position + 1
        if block == 0x2C:
            left, top, width, height = struct.unpack_from("<HHHH", data, position + 1)
            if left + width > screen_width or top + height > screen_height:
                raise DecompressionBombError(
                    f"a frame of {width} x {height} on {screen_width} x {screen_height}"
                )
            position = behind_color_table(position + 10, data[position + 9]) + 1
        else:
            position += 2
        while data[position]:
            position += data[position] + 1
        position += 1
    raise DecompressionBombError(f"more than {_MAX_PARTS} blocks")


def _end_of_avif(data: bytes) -> int:
    position: int = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind not in _ISO_BOXES:
            return position
        if size == 1:
            size = struct.unpack_from(">Q", data, position + 8)[0]
        elif size == 0:
            return len(data)
        if size < 8:
            return position
        position += size
    return position
