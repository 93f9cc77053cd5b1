"""The CDN's circuit breaker: it stops the requests after too many rejections in a row."""

from __future__ import annotations

from dagster_tiktok.slides.failures import FailureKind, SlideError

OPEN_AFTER_SLIDES = 10
OPEN_AFTER_POSTS = 3
"""A carousel has up to 35 slides: if one is broken as a whole, that says nothing about the CDN."""

REJECTIONS: frozenset[FailureKind] = frozenset(
    {"expired", "network", "server_error", "rate_limited", "not_an_image"}
)
"""What we see when the CDN rejects us or is down, or when something else responds in its place."""


class CdnBreaker:
    """Counts consecutive slides that the CDN did not deliver, after all mirrors and retries.

    It opens after `OPEN_AFTER_SLIDES` slides of at least `OPEN_AFTER_POSTS` posts and stays open.
    A later run has its own breaker.

    Failures take longest, so slides that were requested together fail together, after every slide
    that was delivered. Only the first of such a group counts, and what was requested after it.
    """

    def __init__(self) -> None:
        self._started = 0
        self._started_before_streak = 0
        self._slides = 0
        self._posts: set[str] = set()
        self._kinds: set[FailureKind] = set()
        self.reason: str | None = None
        """Why the breaker is open; None while it is closed."""

    @property
    def is_open(self) -> bool:
        return self.reason is not None

    @property
    def has_rejections(self) -> bool:
        """Whether the newest responses were rejections, of one post or of everything."""
        return self._slides > 0

    def start_request(self) -> int:
        """Call before a slide is requested. Returns its number, for `record_rejection`."""
        self._started += 1
        return self._started

    def record_response(self) -> None:
        """The CDN delivered a slide."""
        self._slides = 0
        self._posts.clear()
        self._kinds.clear()

    def record_rejection(self, tiktok_id: str, error: SlideError, request: int) -> None:
        """The CDN did not deliver a slide. Kinds that are not in `REJECTIONS` are ignored.

        Arguments:
            error: `expired` only where the URL was fresh.
            request: the return value of `start_request`.
        """
        if error.kind not in REJECTIONS:
            return
        if self._slides == 0:
            self._started_before_streak = self._started
        elif request <= self._started_before_streak:
            return
        self._slides += 1
        self._posts.add(tiktok_id)
        self._kinds.add(error.kind)
        if self._slides >= OPEN_AFTER_SLIDES and len(self._posts) >= OPEN_AFTER_POSTS:
            self.reason = (
                f"TikTok's CDN delivered none of the last {self._slides} slides "
                f"({', '.join(sorted(self._kinds))}), so this run requests no more. Run again "
                "later; if it happens again, set a low SLIDE_REQUESTS_PER_SECOND"
            )
