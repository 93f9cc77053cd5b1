from __future__ import annotations

import codecs
import hashlib
import io
import random
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dagster_tiktok.slides.failures import SlideError
from dagster_tiktok.slides.images.verify import MIME_TYPES, ImageInfo, inspect_image
from dagster_tiktok_tests.support.images import animated, encoded, jpeg, noise

FORMATS = sorted(MIME_TYPES)


def inspect(tmp_path: Path, data: bytes, **caps: int) -> ImageInfo:
    path = tmp_path / "slide"
    path.write_bytes(data)
    return inspect_image(path, **{"max_bytes": 5_000_000, **caps})


def failure(tmp_path: Path, data: bytes, **caps: int) -> SlideError:
    with pytest.raises(SlideError) as caught:
        inspect(tmp_path, data, **caps)
    return caught.value


def zip_file() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("run.exe", b"MZ")
    return file.getvalue()


@pytest.mark.parametrize("image_format", FORMATS)
def test_an_intact_image_is_identified_by_its_bytes(tmp_path: Path, image_format: str) -> None:
    data = encoded(image_format)
    info = inspect(tmp_path, data)
    assert (info.width, info.height, info.size) == (160, 240, len(data))
    assert (info.mime_type, info.extension) == MIME_TYPES[image_format]  # type: ignore[index]
    assert info.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"quality": 5}, {"restart_marker_rows": 1}]
)
def test_jpegs_of_other_encoders_are_accepted(tmp_path: Path, options: dict[str, Any]) -> None:
    assert inspect(tmp_path, encoded("JPEG", **options)).mime_type == "image/jpeg"


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "AVIF", "MPO"])
def test_all_frames_of_an_animation_are_decoded(tmp_path: Path, image_format: str) -> None:
    assert inspect(tmp_path, animated(image_format)).width == 40


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, None])
def test_a_truncated_image_is_a_transient_failure(
    tmp_path: Path, image_format: str, share: float | None
) -> None:
    data = encoded(image_format)
    cut = data[: int(len(data) * share)] if share else data[:-1]
    error = failure(tmp_path, cut)
    assert error.kind in ("truncated", "corrupt")
    assert error.transient


@pytest.mark.parametrize("image_format", FORMATS)
def test_random_damage_raises_nothing_but_a_slide_error(tmp_path: Path, image_format: str) -> None:
    chance = random.Random(image_format)
    data = encoded(image_format, noise(64, 64))
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 30)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            inspect(tmp_path, bytes(damaged))
        except SlideError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html><body>Access denied</body></html>",
        b"\n <HTML><head></head></HTML>",
        b'{"code": 10000}',
        b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>',
        b"<Error><Code>SlowDown</Code></Error>",
        b"upstream connect error or disconnect/reset before headers",
        b"Too many requests\r\n",
        "Zugriff verweigert: später".encode(),
        b"a" + ("é" * 400).encode(),
        # an error page in other encodings, with a logo, with what terminals and C programs add
        "<html><body>Accès refusé</body></html>".encode("latin-1"),
        "Accès refusé par le serveur".encode("cp1252"),
        "<html><title>アクセスが拒否されました</title></html>".encode("shift-jis"),
        "<html><title>访问被拒绝</title></html>".encode("gbk"),
        "Access denied".encode("utf-16"),
        codecs.BOM_UTF16_BE + "<html>Access denied</html>".encode("utf-16-be"),
        codecs.BOM_UTF8 + b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
        b"<!DOCTYPE html><html><head></head><body><svg width='10'></svg>503</body></html>",
        b'<html><link rel="icon" href="data:image/svg+xml,<svg></svg>"></html>',
        b"Access Denied\0\0\0",
        b"\x1b[31mAccess Denied\x1b[0m",
        b"  \r\n",
        b"403",
        b"null",
        b"[]",
    ],
)
def test_a_page_or_nothing_instead_of_an_image_is_a_transient_failure(
    tmp_path: Path, data: bytes
) -> None:
    error = failure(tmp_path, data)
    assert error.kind in ("not_an_image", "truncated")
    assert error.transient


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
        b"<svg><foreignObject><html></html></foreignObject></svg>",
        b"<!-- a logo -->\n<svg:svg width='1'/>",
        b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x">\n<svg></svg>',
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"8BPS\0\1" + bytes(20),
        b"\x1f\x8b\x08\0" + bytes(20),
        zip_file(),
        encoded("BMP"),
        encoded("TIFF"),
        b"%PDF-1.7",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    ],
)
def test_a_type_that_the_bucket_does_not_accept_is_rejected(tmp_path: Path, data: bytes) -> None:
    error = failure(tmp_path, data)
    assert error.kind == "unsupported_type"
    assert not error.transient


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("tail", [zip_file(), b"<script>alert(1)</script>"])
def test_data_after_the_image_is_rejected(tmp_path: Path, image_format: str, tail: bytes) -> None:
    error = failure(tmp_path, encoded(image_format) + tail)
    assert error.kind == "trailing_data"
    assert not error.transient


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF"])
def test_padding_after_the_image_is_accepted(tmp_path: Path, image_format: str) -> None:
    assert inspect(tmp_path, encoded(image_format) + bytes(64) + b"\n").width == 160


def decodes_whole(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG", "MPO"]) as image:
            image.load()
    except (OSError, KeyError, SyntaxError):
        return False
    return True


def test_damaged_jpegs_are_rejected_unless_they_decode_completely(
    tmp_path: Path,
) -> None:
    chance = random.Random(3)
    options: list[dict[str, Any]] = [{}, {"progressive": True}, {"subsampling": 0}]
    sound = [encoded("JPEG", noise(80, 64), **each) for each in options]
    sound.append(encoded("JPEG", noise(80, 64).convert("CMYK")))
    taken = rejected = 0
    for _ in range(200):
        data = bytearray(chance.choice(sound))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(2, 800)] = chance.randrange(256)
        try:
            inspect(tmp_path, bytes(data), max_pixels=10**9)
        except SlideError as error:
            rejected += 1
            assert error.kind != "corrupt" or not decodes_whole(bytes(data))
        else:
            taken += 1
            assert decodes_whole(bytes(data))
    assert min(taken, rejected) > 40


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


def gif_with(block: bytes, times: int) -> bytes:
    data = encoded("GIF", noise(4, 4))
    return data[:-1] + block * times + data[-1:]


FRAME = b"\x2c" + struct.pack("<HHHH", 0, 0, 9_700, 9_700) + b"\0\x02\x02\x44\x01\0"
JPEG = encoded("JPEG", noise(8, 8))
SCAN = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\0"


@pytest.mark.parametrize(
    "data",
    [
        gif_with(FRAME, 1),
        gif_with(b"\x21\xfe\x01a\0", 20_000),
        JPEG[:2] + b"\xff\xe5\0\x02" * 20_000 + JPEG[2:],
        JPEG[:-2] + SCAN * 200 + JPEG[-2:],
        png_of(8, 8)[:33] + b"\0\0\0\0prVt\xde\xad\xbe\xef" * 20_000 + png_of(8, 8)[33:],
    ],
    ids=["frame beyond the edges", "comments", "segments", "scans", "chunks"],
)
def test_decompression_bombs_are_rejected_without_decoding(tmp_path: Path, data: bytes) -> None:
    assert failure(tmp_path, data).kind == "bomb"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [50_000, 10_000, 5_000])
def test_too_many_pixels_are_rejected_before_decoding(tmp_path: Path, side: int) -> None:
    error = failure(tmp_path, png_of(side, side))
    assert error.kind == "bomb"
    assert not error.transient


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (png_of(10_000, 10_000), "10000 x 10000 pixels, 24 million are allowed"),
        (png_of(4_900, 4_800), "take 90 MB to decode, 80 MB are allowed"),
        (png_of(50_000, 50_000), "24 million pixels"),
        (JPEG[:-2] + SCAN * 200 + JPEG[-2:], "more than 100 scans"),
    ],
)
def test_the_message_on_a_bomb_names_the_limit(tmp_path: Path, data: bytes, limit: str) -> None:
    assert limit in str(failure(tmp_path, data))


@pytest.mark.parametrize("image_format", ["WEBP", "AVIF", "PNG", "JPEG"])
def test_a_portrait_screenshot_is_accepted(tmp_path: Path, image_format: str) -> None:
    """1440 x 3200, as phones make them, was rejected as WebP and AVIF."""
    screenshot = Image.new("RGB", (1440, 3200), "white")
    info = inspect(tmp_path, encoded(image_format, screenshot))
    assert (info.width, info.height) == (1440, 3200)


def test_a_flood_of_frames_is_rejected(tmp_path: Path) -> None:
    frames = [noise(4, 4, seed) for seed in range(400)]
    data = encoded("GIF", frames[0], save_all=True, append_images=frames[1:])
    assert failure(tmp_path, data).kind == "bomb"


def test_a_file_over_the_size_limit_is_rejected_unread(tmp_path: Path) -> None:
    assert failure(tmp_path, jpeg(), max_bytes=1000).kind == "too_large"


def test_a_png_with_a_wrong_checksum_is_broken(tmp_path: Path) -> None:
    data = bytearray(encoded("PNG"))
    data[len(data) // 2] ^= 0xFF
    assert failure(tmp_path, bytes(data)).kind == "corrupt"
