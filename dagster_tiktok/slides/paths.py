"""The path of a slide in the bucket: `<tiktok_id>/<slide number>-<start of sha256>.<extension>`."""

from __future__ import annotations

import re

from dagster_tiktok.slides.images.verify import MIME_TYPES, ImageInfo

_EXTENSIONS = "|".join(extension for _, extension in MIME_TYPES.values())
_FORM = re.compile(
    rf"[0-9]{{1,20}}/(?:0[1-9]|[12][0-9]|3[0-5])-[0-9a-f]{{16}}\.(?:{_EXTENSIONS})\Z"
)


def slide_path(tiktok_id: str, number: int, info: ImageInfo) -> str:
    """The path of the slide, which its content decides. Slide numbers have two digits, 01 to 35.

    Raises:
        ValueError: the id or the number is not that of a slide.
    """
    path = f"{tiktok_id}/{number:02d}-{info.sha256[:16]}.{info.extension}"
    if not is_slide_path(path):
        raise ValueError(f"not the path of a slide: {path!r}")
    return path


def is_slide_path(name: str) -> bool:
    """Whether `name` has the form of `slide_path`: no object of anybody else has it."""
    return _FORM.match(name) is not None
