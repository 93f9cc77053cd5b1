"""The passes of one run: every post once, failed ones again after a pause, then other sources.

A rejected request is never repeated at once. A post that failed for a transient reason waits until
all others were tried, and longer. Only a post that is still missing after that counts as failed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from dagster_tiktok.database.ledger import ScrapeResult
from dagster_tiktok.models import Post, Unit
from dagster_tiktok.tasks import for_each
from dagster_tiktok.text import quoted
from dagster_tiktok.tiktok.client import TikTokClient, TikTokRejectionError
from dagster_tiktok.tiktok.failures import WILL_RETRY, Failure, FailureKind, PostError
from dagster_tiktok.tiktok.links.post_links import PostRef, PostUrlError, parse_post_link
from dagster_tiktok.tiktok.shared_calls import SharedCalls

FURTHER_PASSES = 3

# Another program would use the same network, and TikTok has just asked for fewer requests.
_NOT_FOR_THE_FALLBACK = frozenset({FailureKind.NETWORK, FailureKind.RATE_LIMITED})

log = logging.getLogger(__name__)

Settle = Callable[[ScrapeResult, bool], Awaitable[None]]
"""Takes the result of a unit, and whether it comes from the first pass."""


@dataclass(frozen=True)
class FailedAttempt:
    """A failed scrape, without the error itself, which would keep its page in memory."""

    ref: PostRef
    failure: Failure
    about_post: bool

    @classmethod
    def of(cls, ref: PostRef, error: PostError) -> FailedAttempt:
        return cls(ref, error.failure, error.about_post)


class ScrapePasses:
    """Scrapes units in several passes and hands each result to `settle` once.

    Call `first` for each unit, then `again`, `elsewhere` and `end`, in this order. `end` alone also
    settles the units that wait.
    """

    def __init__(self, client: TikTokClient, settle: Settle) -> None:
        self._client = client
        self._settle = settle
        self._waiting: dict[int, tuple[Unit, FailedAttempt]] = {}
        # Rows that name the same post share one fetch, and its failure until the next pass. If any
        # URL of a post is a /photo/ URL, it is fetched as a photo post.
        self._posts = SharedCalls(partial(self._fetch, is_photo=False))
        self._photos = SharedCalls(partial(self._fetch, is_photo=True))
        self._photo_ids: set[str] = set()
        self._users: dict[str, str] = {}
        self._failures: dict[str, FailedAttempt] = {}
        self._elsewhere: dict[str, Post | FailedAttempt | None] = {}
        self._last_failure_at = 0.0
        self._is_first_pass = True
        self._is_rejected_again = False

    async def close(self) -> None:
        await self._posts.close()
        await self._photos.close()

    async def first(self, unit: Unit) -> None:
        """Tries the unit for the first time.

        Raises:
            TikTokRejectionError: TikTok refuses this address.
        """
        try:
            ref = reference(unit)
        except PostUrlError as error:
            # The row was read by a version that accepted more than this one.
            result = ScrapeResult(
                unit_id=unit.id, result="unavailable", error_kind="invalid_row", error=str(error)
            )
            await self._settle(result, True)
            return
        await self._scrape_unit(unit, ref)

    async def again(self, pause_seconds: float) -> None:
        """Tries waiting units up to FURTHER_PASSES times, each `pause_seconds` after a failure.

        The passes end when the breaker starts to pause: requesting the same few posts again would
        open it. That does not end the stage, because every unit has been tried.
        """
        self._is_first_pass = False
        for _ in range(FURTHER_PASSES):
            if not self._waiting or self._is_rejected_again:
                return
            log.info(
                "scraped_posts: %d posts could not be read; trying them again", len(self._waiting)
            )
            await asyncio.sleep(max(0.0, self._last_failure_at + pause_seconds - time.monotonic()))
            self._failures.clear()
            units = [unit for unit, _ in self._waiting.values()]
            try:
                await for_each(units, self._try_again, concurrency=self._client.max_concurrency)
            except TikTokRejectionError as error:
                log.warning("scraped_posts: %s", error)
                return

    async def elsewhere(self) -> None:
        """Tries other sources for the units that still wait, one after the other.

        No other request runs meanwhile: the rate limit learns of another program's requests too
        late to hold others back.
        """
        for unit, attempt in list(self._waiting.values()):
            try:
                found = await self._fetch_elsewhere(unit, attempt)
            except TikTokRejectionError:
                return
            if isinstance(found, Post):
                await self._end(unit, scraped(unit, found))
            elif found is not None:
                await self._end(unit, failed(unit, found))

    async def end(self) -> None:
        """Settles the units that still wait as failed."""
        for unit, attempt in list(self._waiting.values()):
            await self._end(unit, failed(unit, attempt))

    async def _try_again(self, unit: Unit) -> None:
        if not self._is_rejected_again:
            await self._scrape_unit(unit, self._waiting[unit.id][1].ref)
            self._is_rejected_again = self._client.is_backing_off

    async def _scrape_unit(self, unit: Unit, ref: PostRef) -> None:
        found = await self._ask(unit, ref)
        if isinstance(found, Post):
            await self._end(unit, scraped(unit, found))
        elif found.failure.permanent:
            await self._end(unit, failed(unit, found))
        else:
            self._waiting[unit.id] = (unit, found)

    async def _ask(self, unit: Unit, ref: PostRef) -> Post | FailedAttempt:
        try:
            if (known := self._failures.get(ref.tiktok_id or ref.key)) is not None:
                return known
            ref = await self._client.resolve(ref)
            if (known := self._failures.get(ref.tiktok_id or "")) is not None:
                return known
            if ref.is_photo:
                self._photo_ids.add(ref.tiktok_id or "")
            if ref.user is not None:
                self._users.setdefault(ref.tiktok_id or "", ref.user)
            posts = self._photos if ref.tiktok_id in self._photo_ids else self._posts
            return await posts.get(ref.tiktok_id or "")
        except PostError as error:
            log.info("scraped_posts: %s: %s (%s)", _name(unit, ref), error, error.kind.value)
            self._last_failure_at = time.monotonic()
            attempt = self._failures[ref.tiktok_id or ref.key] = FailedAttempt.of(ref, error)
            return attempt

    async def _fetch(self, tiktok_id: str, *, is_photo: bool) -> Post:
        user = self._users.get(tiktok_id)
        return await self._client.fetch_post(tiktok_id, is_photo=is_photo, user=user)

    async def _fetch_elsewhere(
        self, unit: Unit, attempt: FailedAttempt
    ) -> Post | FailedAttempt | None:
        """The post, the reason why it is unavailable, or None if no other source knows."""
        tiktok_id = attempt.ref.tiktok_id
        if tiktok_id is None:
            return None
        found = None
        if self._client.has_fallback and attempt.failure.kind not in _NOT_FOR_THE_FALLBACK:
            found = await self._once(
                f"post {tiktok_id}, asked for by the program of TIKTOK_FALLBACK",
                attempt.ref,
                lambda: self._client.fetch_with_fallback(tiktok_id, is_photo=attempt.ref.is_photo),
            )
        # A daily scrape without metrics is useless.
        if found is None and unit.slot == 0 and is_given_up(unit, attempt):
            user = _typed(unit).user
            found = await self._once(
                f"post {tiktok_id}, asked for by oEmbed and the embed page",
                attempt.ref,
                lambda: self._client.fetch_preview(
                    tiktok_id, user=user, is_photo=attempt.ref.is_photo
                ),
            )
        return found

    async def _once(
        self, key: str, ref: PostRef, ask: Callable[[], Awaitable[Post]]
    ) -> Post | FailedAttempt | None:
        if key not in self._elsewhere:
            try:
                self._elsewhere[key] = await ask()
            except PostError as error:
                log.info("scraped_posts: %s: %s (%s)", key, error, error.detail)
                permanent = error.failure.permanent
                self._elsewhere[key] = FailedAttempt.of(ref, error) if permanent else None
        return self._elsewhere[key]

    async def _end(self, unit: Unit, result: ScrapeResult) -> None:
        self._waiting.pop(unit.id, None)
        await self._settle(result, self._is_first_pass)


def reference(unit: Unit) -> PostRef:
    """The post that the unit is about.

    Raises:
        PostUrlError: the URL in its row is not understood.
    """
    if unit.tiktok_id is not None:
        typed = _typed(unit)
        is_photo = unit.is_photo or typed.is_photo
        return PostRef(tiktok_id=unit.tiktok_id, user=typed.user, is_photo=is_photo)
    if unit.details is None:
        raise ValueError(f"unit {unit.id} has neither an id nor a row")
    return parse_post_link(unit.details.va_url)


def _name(unit: Unit, ref: PostRef) -> str:
    """The name of the unit in log lines, so that its row can be found in the sheet."""
    if ref.tiktok_id is not None:
        return f"post {ref.tiktok_id}"
    link = quoted(unit.details.va_url) if unit.details else ref.key
    return f"short link {link} (unit {unit.source_key})"


def is_given_up(unit: Unit, attempt: FailedAttempt) -> bool:
    """Whether this was the last attempt, and its failure is not permanent."""
    return unit.is_last_try and attempt.about_post and not attempt.failure.permanent


def scraped(unit: Unit, post: Post) -> ScrapeResult:
    return ScrapeResult(unit_id=unit.id, result="scraped", tiktok_id=post.tiktok_id, post=post)


def failed(unit: Unit, attempt: FailedAttempt) -> ScrapeResult:
    """The result of a unit whose post could not be scraped in this run."""
    given_up, message = is_given_up(unit, attempt), attempt.failure.message
    if given_up:
        message = (
            f"{message.removesuffix(WILL_RETRY)}, in {unit.attempts + 1} tries: "
            "set Status to Ready to Scrape to try again"
        )
    return ScrapeResult(
        unit_id=unit.id,
        result="unavailable" if attempt.failure.permanent or given_up else "retry",
        tiktok_id=attempt.ref.tiktok_id,
        is_photo=attempt.ref.is_photo,
        error_kind=attempt.failure.kind.value,
        error=message,
        counted=attempt.about_post,
    )


@dataclass(frozen=True)
class _Typed:
    user: str | None = None
    is_photo: bool = False


def _typed(unit: Unit) -> _Typed:
    """What the row's URL shows besides the id; empty for a daily scrape, which has no row."""
    try:
        ref = parse_post_link(unit.details.va_url) if unit.details else None
    except PostUrlError:
        return _Typed()
    return _Typed(ref.user, ref.is_photo) if ref else _Typed()
