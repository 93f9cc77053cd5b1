"""The data of the fake TikTok: the truth, before a page rounds or hides it."""

from __future__ import annotations

import re
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from dagster_tiktok.sandbox.tiktok.content.captions import Caption
from dagster_tiktok.sandbox.tiktok.content.statuses import STATUSES

SITE = "https://www.tiktok.com"
"""The real site: canonical URLs on pages have it, whichever host serves them."""

ImageFormat = Literal["jpeg", "webp"]
SlideStyle = Literal["drawn", "photo"]


@dataclass(frozen=True)
class FakeAccount:
    unique_id: str
    user_id: str
    sec_uid: str
    nickname: str
    verified: bool = False
    followers: int = 1234
    following: int = 88
    hearts: int = 45_678
    videos: int = 42
    signature: str = ""
    status: str = "available"
    """`available` or one of `statuses.ACCOUNT_STATUSES`."""


@dataclass(frozen=True)
class FakeMusic:
    music_id: str
    title: str
    author: str
    duration: int
    original: bool

    @property
    def page_url(self) -> str:
        slug = "-".join(re.findall(r"\w+", self.title)) or "sound"
        return f"{SITE}/music/{quote(slug)}-{self.music_id}"


@dataclass(frozen=True)
class FakeSlide:
    """An image of a post. Number 0 is the cover, which is not slide 1.

    `image_key` is the 32 hex characters in the URL: equal key, equal bytes.
    """

    number: int
    image_key: str
    width: int
    height: int
    image_format: ImageFormat
    style: SlideStyle = "drawn"


def rounded(count: int) -> int:
    """As post pages show it: from 10,000 in hundreds, from a million in hundred thousands."""
    if count < 10_000:
        return count
    step = 100 if count < 1_000_000 else 100_000
    return (count + step // 2) // step * step


@dataclass(frozen=True)
class FakeMetrics:
    """Exact counts. The post's page shows them rounded."""

    views: int
    likes: int
    comments: int
    shares: int
    bookmarks: int
    reposts: int = 0

    @property
    def shown(self) -> FakeMetrics:
        """What a post's page says to a visitor who is not signed in, in `stats` and `statsV2`."""
        return FakeMetrics(*(rounded(count) for count in astuple(self)))


@dataclass(frozen=True)
class FakePost:
    """A post and everything that a test may compare the database with.

    `created` is the page's `createTime` (unix seconds); `tiktok_id >> 32` is the upload time, a
    few seconds earlier. `author_stats_on_page`: followers stand on the post page as well, else
    only on the profile. `partial_text_extra`: the page's `textExtra` lacks the last hashtag and
    holds junk. `omit`: top-level fields of the page's item to leave out.
    """

    tiktok_id: str
    author: FakeAccount
    kind: Literal["video", "carousel"]
    short_code: str
    created: int
    caption: Caption
    metrics: FakeMetrics
    cover: FakeSlide
    slides: tuple[FakeSlide, ...] = ()
    music: FakeMusic | None = None
    status: str = "available"
    title: str = ""
    region: str = "US"
    author_stats_on_page: bool = False
    partial_text_extra: bool = False
    pretty_printed: bool = False
    omit: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        if self.status != "available" and self.status not in STATUSES:
            raise ValueError(f"unknown status {self.status!r}; known: {', '.join(STATUSES)}")

    @property
    def account(self) -> str:
        return self.author.unique_id

    @property
    def slide_count(self) -> int:
        return len(self.slides)

    @property
    def followers(self) -> int:
        return self.author.followers

    @property
    def verified(self) -> bool:
        return self.author.verified

    @property
    def desc(self) -> str:
        return self.caption.text

    @property
    def hashtags(self) -> tuple[str, ...]:
        """Lower case, in order of appearance, each once."""
        return self.caption.hashtags

    @property
    def mentions(self) -> tuple[str, ...]:
        return self.caption.mentions

    @property
    def path(self) -> str:
        """The canonical path: `/photo/` for carousels."""
        form = "photo" if self.kind == "carousel" else "video"
        return f"/@{self.account}/{form}/{self.tiktok_id}"

    @property
    def video_path(self) -> str:
        return f"/@{self.account}/video/{self.tiktok_id}"

    @property
    def canonical_url(self) -> str:
        return SITE + self.path

    def truth(self) -> dict[str, Any]:
        """The post as JSON for the control API. The server adds the hashes of slides."""
        status = STATUSES.get(self.status)
        return {
            "tiktok_id": self.tiktok_id,
            "kind": self.kind,
            "status": self.status,
            "status_code": status.code if status else 0,
            "status_message": status.message if status else "",
            "account": self.account,
            "followers": self.author.followers,
            "verified": self.author.verified,
            "author": asdict(self.author),
            "short_code": self.short_code,
            "path": self.path,
            "canonical_url": self.canonical_url,
            "created": self.created,
            "upload_time": int(self.tiktok_id) >> 32,
            "desc": self.desc,
            "hashtags": list(self.hashtags),
            "mentions": list(self.mentions),
            "metrics": asdict(self.metrics),
            "music": None
            if self.music is None
            else {**asdict(self.music), "page_url": self.music.page_url},
            "slide_count": self.slide_count,
            "slides": [asdict(slide) for slide in self.slides],
            "cover": asdict(self.cover),
        }
