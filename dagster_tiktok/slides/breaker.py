"""The circuit breaker for TikTok's CDN: after several slides in a row that failed, stop asking.

`tiktok.breaker` is the same for pages.
"""

from __future__ import annotations

from dagster_tiktok.slides.failures import FailureKind, SlideError

OPEN_AFTER_SLIDES = 10
OPEN_AFTER_POSTS = 3
"""A carousel has up to 35 slides: one broken carousel says nothing about the CDN."""

REJECTIONS: frozenset[FailureKind] = frozenset(
    {"expired", "network", "server_error", "rate_limited", "not_an_image"}
)
"""What we see when the CDN rejects us, is down, or something else responds in its place."""


class CdnBreaker:
    """Counts slides in a row that the CDN did not deliver, after all mirrors and retries.

    It opens at `OPEN_AFTER_SLIDES` slides of at least `OPEN_AFTER_POSTS` posts, and stays open: a
    later run has its own. Slides that fail take the longest, so the failures of concurrent
    downloads arrive together, after every success. So only the first of them counts, and then
    the slides that started after that one had failed.
    """

    def __init__(self) -> None:
        self._started = 0
        self._started_before_first = 0
        self._rejections = 0
        self._posts: set[str] = set()
        self._kinds: set[FailureKind] = set()
        self.open_reason: str | None = None
        """Why no more slides are requested, once it is open."""

    @property
    def is_open(self) -> bool:
        return self.open_reason is not None

    @property
    def rejections(self) -> int:
        """Rejections since the last success, be they of one post or of everything."""
        return self._rejections

    def record_start(self) -> int:
        """A slide is about to be requested. Pass the return value to `record_rejection`."""
        self._started += 1
        return self._started

    def record_success(self) -> None:
        """The CDN delivered a slide."""
        self._rejections = 0
        self._posts.clear()
        self._kinds.clear()

    def record_rejection(self, tiktok_id: str, error: SlideError, start: int) -> None:
        """A slide of that post did not arrive. Errors whose kind is no rejection don't count.

        Arguments:
            error: `expired` only if the slide's URL was fresh.
            start: what `record_start` returned.
        """
        if error.kind not in REJECTIONS:
            return
        if self._rejections == 0:
            self._started_before_first = self._started
        elif start <= self._started_before_first:
            return
        self._rejections += 1
        self._posts.add(tiktok_id)
        self._kinds.add(error.kind)
        if self._rejections >= OPEN_AFTER_SLIDES and len(self._posts) >= OPEN_AFTER_POSTS:
            self.open_reason = (
                f"TikTok's CDN delivered none of the last {self._rejections} slides "
                f"({', '.join(sorted(self._kinds))}), so this run requests no more; run again "
                "later, with a low SLIDE_REQUESTS_PER_SECOND if it happens again"
            )
