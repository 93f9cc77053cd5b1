"""When to stop asking the CDN: slide after slide without one that it gave."""

from __future__ import annotations

from dagster_tiktok.slides.failures import FailureKind, SlideError

OPEN_AFTER_SLIDES = 10
OPEN_AFTER_POSTS = 3
"""A carousel has up to 35 slides: one that is broken as a whole says nothing about the CDN."""

REFUSING: frozenset[FailureKind] = frozenset(
    {"expired", "network", "server_error", "rate_limited", "not_an_image"}
)
"""What a CDN that refuses us answers, or one that is down, or who answers in its place."""


class CdnBreaker:
    """Counts slides in a row that the CDN did not give, after all mirrors and retries.

    It opens at `OPEN_AFTER_SLIDES` slides of at least `OPEN_AFTER_POSTS` posts, and stays open: a
    later run has its own. Slides that fail take longest, so those under way together end together,
    behind all that came: of them the first alone counts, and those that began after its end.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._begun_before_the_row = 0
        self._slides = 0
        self._posts: set[str] = set()
        self._kinds: set[FailureKind] = set()
        self.refusal: str | None = None
        """Why no more is asked, once it is open."""

    @property
    def in_doubt(self) -> bool:
        """Whether the newest answers were rejections, be it of one post or of everything."""
        return self._slides > 0

    def begins(self) -> int:
        """A slide is about to be asked for. Returns what `failed` wants to know of it."""
        self._begun += 1
        return self._begun

    def gave(self) -> None:
        """The CDN gave a slide."""
        self._slides = 0
        self._posts.clear()
        self._kinds.clear()

    def failed(self, tiktok_id: str, error: SlideError, began: int) -> None:
        """A slide of that post did not arrive. An `expired` one: though its address was fresh.

        Arguments:
            began: what `begins` answered.
        """
        if error.kind not in REFUSING:
            return
        if self._slides == 0:
            self._begun_before_the_row = self._begun
        elif began <= self._begun_before_the_row:
            return
        self._slides += 1
        self._posts.add(tiktok_id)
        self._kinds.add(error.kind)
        if self._slides >= OPEN_AFTER_SLIDES and len(self._posts) >= OPEN_AFTER_POSTS:
            self.refusal = (
                f"TikTok's CDN gave none of the last {self._slides} slides "
                f"({', '.join(sorted(self._kinds))}), so no more are asked for in this run; run "
                "again later, with a low SLIDE_REQUESTS_PER_SECOND if it happens again"
            )
