"""The fake TikTok's content, the same for the same seed and date.

The first posts of a world cover every kind (see `_LEADING`), so that a demo or a test finds what
it needs: `world.videos()`, `world.carousels(6)`, `world.unavailable("deleted")`.
"""

from __future__ import annotations

import random
import string
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Literal

from dagster_tiktok.sandbox.tiktok.content.captions import (
    make_caption,
    parse_caption,
    showcase_size,
)
from dagster_tiktok.sandbox.tiktok.content.fake_posts import (
    FakeAccount,
    FakeMetrics,
    FakeMusic,
    FakePost,
    FakeSlide,
    ImageFormat,
    SlideStyle,
)
from dagster_tiktok.sandbox.tiktok.content.statuses import ACCOUNT_STATUSES, LASTING_STATUSES

__all__ = ["FakeAccount", "FakeMetrics", "FakeMusic", "FakePost", "FakeSlide", "World"]

DAY_SECONDS = 86_400
_POSTED_WITHIN_DAYS = 6

# 0 = a video, n = a carousel of n slides, a name = an unavailable post.
_LEADING: tuple[int | str, ...] = (
    0, 6, 1, 35, "deleted", "private", "geofenced", 0, 2, 0, 6, 0, 1, 3,
    *(name for name in LASTING_STATUSES if name not in ("deleted", "private", "geofenced")),
)  # fmt: skip

# Views around the limits at which `stats` starts to round, and a post without views.
_LEADING_VIEWS = (12_345, 1_254_321, 9_999, 27_654_321, 0, 10_049, 999_949, 3)

_SIZES = ((337, 499), (480, 640), (540, 720), (576, 768), (576, 1024), (640, 640), (720, 960))
_LARGE_SIZES = ((1080, 1436), (1203, 1602), (1440, 2470))
PHOTO_SIZES = ((720, 960), (810, 1080), (1080, 1080), (1080, 1440))
_FIRST_NAMES = ("lena", "marco", "maya", "noor", "tomas", "ines", "kofi", "yuki", "ada", "joao")
_TOPICS = (".bakes", "_fits", "reads_", ".runs7", "_studio", "eats", ".draws", "_travels", "tok99")
_SOUNDS = (
    "original sound", "Golden Hour (Sped Up)", "Ça va aller", "INTERESTELLAR",
    "夜に駆ける", "lofi beats / study", "Monkeys Spinning Monkeys",
)  # fmt: skip


class World:
    """All posts and accounts of one fake TikTok.

    Arguments:
        seed: equal seeds (on one UTC date) give equal worlds.
        posts: how many.
        now: unix seconds; posts are from the days before that date. Default: the clock.
        only: `video` or `carousel` makes every post one, all of them available.
        slide_count: of each carousel, with `only="carousel"`. Default: 1 to 12.
        slide_style: `drawn` images are small and show what they are; `photo` images are noise
            of 50 to 300 KB, for benchmarks.
    """

    def __init__(
        self,
        seed: int = 7,
        posts: int = 200,
        now: float | None = None,
        *,
        only: Literal["video", "carousel"] | None = None,
        slide_count: int | None = None,
        slide_style: SlideStyle = "drawn",
    ) -> None:
        self.seed = seed
        now = time.time() if now is None else now
        self.midnight = int(now) // DAY_SECONDS * DAY_SECONDS
        """The start of the world's UTC date: every post is older."""
        self.by_id: dict[str, FakePost] = {}
        self.by_short_code: dict[str, FakePost] = {}
        self.accounts: dict[str, FakeAccount] = {}
        self._first_posts: dict[str, str] = {}
        self._images: dict[str, tuple[str, FakeSlide]] = {}
        self._slide_style = slide_style
        self._rng = random.Random(f"world {seed}")
        self._made = 0
        """Available posts so far: the first of them show every kind of caption and count."""
        self._add_accounts(max(8, posts // 12))
        self._open_accounts = [a for a in self.accounts.values() if a.status == "available"]
        for index in range(posts):
            self.add_post(self._make(index, self._plan(index, only, slide_count)))

    @property
    def posts(self) -> list[FakePost]:
        """A copy, because posts may be added while another thread iterates over it."""
        return list(self.by_id.values())

    def videos(self) -> list[FakePost]:
        """The available videos, in the order of `posts`."""
        return [p for p in self._available() if p.kind == "video"]

    def carousels(self, slide_count: int | None = None) -> list[FakePost]:
        """The available carousels, of `slide_count` slides if given."""
        found = (p for p in self._available() if p.kind == "carousel")
        return [p for p in found if slide_count in (None, p.slide_count)]

    def unavailable(self, status: str) -> FakePost:
        """The first post of that status (see `statuses.STATUSES`)."""
        for post in self.posts:
            if post.status == status:
                return post
        raise KeyError(f"this world has no post that is {status!r}")

    def another(self, post: FakePost | None) -> FakePost | None:
        """The first available post that is not this one, if there is one."""
        return next((other for other in self._available() if other != post), None)

    def image(self, image_key: str) -> tuple[FakePost, FakeSlide] | None:
        """The slide or cover behind an image URL."""
        found = self._images.get(image_key)
        return None if found is None else (self.by_id[found[0]], found[1])

    def find_first_post(self, account: str) -> FakePost | None:
        tiktok_id = self._first_posts.get(account)
        return None if tiktok_id is None else self.by_id[tiktok_id]

    def add_post(self, post: FakePost) -> FakePost:
        """Adds the post, or replaces the one of the same id."""
        self.by_id[post.tiktok_id] = post
        self.by_short_code[post.short_code] = post
        self.accounts[post.account] = post.author
        self._first_posts.setdefault(post.account, post.tiktok_id)
        for slide in (post.cover, *post.slides):
            self._images[slide.image_key] = (post.tiktok_id, slide)
        return post

    def new_post(
        self,
        *,
        slide_count: int = 0,
        status: str = "available",
        desc: str | None = None,
        account: str | None = None,
        metrics: FakeMetrics | None = None,
        **fields: Any,
    ) -> FakePost:
        """Makes and adds one more post: a video, or a carousel of `slide_count` slides.

        Arguments:
            account: name of an account of this world. Default: any available one.
            fields: further fields of `FakePost` (`author_stats_on_page=True`).
        """
        self._made = max(self._made, showcase_size(), len(_LEADING_VIEWS))
        post = self._make(len(self.by_id), slide_count if status == "available" else status)
        if desc is not None:
            fields["caption"] = parse_caption(desc)
        if account is not None:
            fields["author"] = self.accounts[account]
        if metrics is not None:
            fields["metrics"] = metrics
        return self.add_post(replace(post, **fields))

    def set_metrics(self, tiktok_id: str, **counts: int) -> FakePost:
        """Changes counts of a post by their names in `FakeMetrics`."""
        post = self.by_id[tiktok_id]
        return self.add_post(replace(post, metrics=replace(post.metrics, **counts)))

    def age(self, days: int = 1) -> None:
        """Increases every post's metrics by an eighth a day, and its views by at least one."""
        for post in self.posts:
            m = post.metrics
            for _ in range(days):
                m = FakeMetrics(
                    views=m.views + m.views // 8 + 1,
                    likes=m.likes + m.likes // 8,
                    comments=m.comments + m.comments // 8,
                    shares=m.shares + m.shares // 8,
                    bookmarks=m.bookmarks + m.bookmarks // 8,
                    reposts=m.reposts,
                )
            self.add_post(replace(post, metrics=m))

    def _available(self) -> Iterator[FakePost]:
        return (post for post in self.posts if post.status == "available")

    def _plan(self, index: int, only: str | None, slide_count: int | None) -> int | str:
        if only == "video":
            return 0
        if only == "carousel":
            return slide_count or self._rng.randint(1, 12)
        if index < len(_LEADING):
            return _LEADING[index]
        return 0 if self._rng.random() < 0.5 else self._rng.randint(1, 12)

    def _make(self, index: int, plan: int | str) -> FakePost:
        rng = self._rng
        slides = plan if isinstance(plan, int) else rng.choice((0, 4))
        status = plan if isinstance(plan, str) else "available"
        example = self._made if status == "available" else showcase_size() + index
        self._made += status == "available"
        created = self.midnight - rng.randint(60, _POSTED_WITHIN_DAYS * DAY_SECONDS)
        # The id's upper half is the upload time: a median of 11 s before createTime.
        upload = created - min(40, max(2, round(rng.gauss(11, 4))))
        tiktok_id = str(upload << 32 | rng.getrandbits(32))
        large = rng.randint(1, slides) if slides and rng.random() < 0.15 else None
        return FakePost(
            tiktok_id=tiktok_id,
            author=self._author(status),
            kind="carousel" if slides else "video",
            short_code=_short_code(index, rng, f"{self.seed} {tiktok_id}"),
            created=created,
            caption=make_caption(example, rng, [a.unique_id for a in self._open_accounts[:50]]),
            metrics=_metrics(example, rng),
            cover=self._slide(tiktok_id, 0, False),
            slides=tuple(self._slide(tiktok_id, n, n == large) for n in range(1, slides + 1)),
            music=None if index % 17 == 12 else _music(rng),
            status=status,
            title="What is in the slides" if slides and rng.random() < 0.3 else "",
            region=rng.choice(("US", "PH", "DE", "JP")),
            author_stats_on_page=index % 3 == 0,
            partial_text_extra=index % 7 == 3,
            pretty_printed=index % 11 == 7,
        )

    def _author(self, status: str) -> FakeAccount:
        if status in ACCOUNT_STATUSES:
            return next(a for a in self.accounts.values() if a.status == status)
        return self._rng.choice(self._open_accounts)

    def _slide(self, tiktok_id: str, number: int, large: bool) -> FakeSlide:
        rng = self._rng
        key = blake2b(f"{self.seed} {tiktok_id} {number}".encode(), digest_size=16).hexdigest()
        if self._slide_style == "photo" and number:
            width, height = rng.choice(PHOTO_SIZES)
        else:
            width, height = rng.choice(_LARGE_SIZES if large else _SIZES)
        image_format: ImageFormat = "webp" if not large and rng.random() < 0.25 else "jpeg"
        style: SlideStyle = self._slide_style if number else "drawn"
        return FakeSlide(number, key, width, height, image_format, style)

    def _add_accounts(self, count: int) -> None:
        rng = self._rng
        names = ["maya.reads_", "studio_nord"]
        while len(names) < count:
            name = rng.choice(_FIRST_NAMES) + rng.choice(_TOPICS) + rng.choice(("", "1", "22", "x"))
            names.append(name if name not in names else f"{name}{len(names)}")
        statuses = ["available"] * count + sorted(ACCOUNT_STATUSES)
        names += [name.replace("_account", ".acc") for name in sorted(ACCOUNT_STATUSES)]
        for index, (name, status) in enumerate(zip(names, statuses, strict=True)):
            followers = int(10 ** rng.uniform(2, 7.2))
            self.accounts[name] = FakeAccount(
                unique_id=name,
                user_id=str(rng.randint(6_500_000_000_000_000_000, 7_600_000_000_000_000_000)),
                sec_uid="MS4wLjABAAAA" + "".join(rng.choices(string.ascii_letters + "_-", k=64)),
                nickname=name.strip("_").replace(".", " ").replace("_", " ").title() + " ✨",
                verified=index % 4 == 0,
                followers=followers,
                following=rng.randint(0, 900),
                # Does not fit in 32 bits, for the overflow that real pages show.
                hearts=2_669_355_760 if index == 1 else followers * rng.randint(3, 60),
                videos=rng.randint(3, 900),
                signature="links below 👇\nbiz: hello@example.com",
                status=status,
            )


def _short_code(index: int, rng: random.Random, name: str) -> str:
    """Two of three have today's form (13 characters, a hyphen, 5); the others have nine."""
    letters = string.ascii_letters + string.digits
    old = "ZT" + "".join(rng.choices(letters, k=7))
    if index % 3 == 1:
        return old
    own = random.Random(f"short link {name}")
    return f"ZP9{''.join(own.choices(letters, k=10))}-{''.join(own.choices(letters, k=5))}"


def _metrics(index: int, rng: random.Random) -> FakeMetrics:
    views = int(10 ** rng.uniform(2, 6.8))
    if index < len(_LEADING_VIEWS):
        views = _LEADING_VIEWS[index]
    likes = int(views * rng.uniform(0.02, 0.14))
    return FakeMetrics(
        views=views,
        likes=likes,
        comments=int(likes * rng.uniform(0.005, 0.08)),
        shares=int(likes * rng.uniform(0.01, 0.12)),
        bookmarks=int(likes * rng.uniform(0.02, 0.25)),
        reposts=int(likes * rng.uniform(0, 0.02)),
    )


def _music(rng: random.Random) -> FakeMusic:
    title = rng.choice(_SOUNDS)
    return FakeMusic(
        music_id=str(rng.randint(6_700_000_000_000_000_000, 7_700_000_000_000_000_000)),
        title=title,
        author=rng.choice(("Kore Blanco", "YOASOBI", "lena bakes", "Kevin MacLeod")),
        duration=rng.randint(9, 180),
        original=title == "original sound",
    )
