"""A reference to a post, and its canonical URL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote

_USER = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
# A short link's target and what is copied from it: 150 is TikTok's type of a carousel.
_PHOTO_PARAMETER = re.compile(r"[?&](?:aweme_type=150|pic_cnt=[1-9][0-9]?)(?![0-9])")


class PostUrlError(ValueError):
    """The text names no post. `str()` is the message for the VA."""


@dataclass(frozen=True)
class PostRef:
    """A post as a URL names it: by its id, or by a short link's code until that is resolved.

    A resolved reference keeps its code. `user` and `is_photo` are what the URL says. They don't
    identify the post: TikTok ignores them.
    """

    tiktok_id: str | None = None
    short_code: str | None = None
    user: str | None = None
    is_photo: bool = field(default=False, compare=False)
    """Whether the URL says that the post has slides (`/photo/`), not a video."""

    def __post_init__(self) -> None:
        if self.tiktok_id is None and self.short_code is None:
            raise ValueError("a PostRef needs an id or a short code")

    @property
    def key(self) -> str:
        """Identifies the link: the same before and after a short link is resolved.

        Two keys may lead to one post: compare `tiktok_id` for that.
        """
        return f"t/{self.short_code}" if self.short_code else str(self.tiktok_id)


def is_account(text: str) -> bool:
    """Whether `text` can be the name of an account, without `@`."""
    return _USER.match(text) is not None


def says_photo(url: str) -> bool:
    """Whether the parameters of a TikTok URL say that the post is a carousel."""
    return _PHOTO_PARAMETER.search(url) is not None


def canonical_url(tiktok_id: str, user: str | None, is_carousel: bool) -> str:
    """The URL that identifies a post, always on the real site.

    An unknown `user` becomes `_`, which TikTok accepts.
    """
    kind = "photo" if is_carousel else "video"
    return f"https://www.tiktok.com/@{quote(user or '_', safe='')}/{kind}/{tiktok_id}"
