"""Real images of every type that the bucket accepts, full of noise so that they have weight."""

from __future__ import annotations

import random
from io import BytesIO

from PIL import Image


def noise(width: int = 160, height: int = 240, seed: int = 0) -> Image.Image:
    return Image.frombytes(
        "RGB", (width, height), random.Random(seed).randbytes(width * height * 3)
    )


def encoded(image_format: str, image: Image.Image | None = None, **options: object) -> bytes:
    file = BytesIO()
    (image or noise()).save(file, image_format, **options)
    return file.getvalue()


def jpeg(seed: int = 0, width: int = 160, height: int = 240) -> bytes:
    return encoded("JPEG", noise(width, height, seed), quality=80)


def animated(image_format: str, frames: int = 3) -> bytes:
    images = [noise(40, 40, seed) for seed in range(frames)]
    return encoded(image_format, images[0], save_all=True, append_images=images[1:])
