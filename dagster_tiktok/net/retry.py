"""The one retry policy: what is retried, how often, and after which wait.

A client raises `TransientError` for a response that may be different in a moment. `retrying`
retries with exponential backoff and full jitter, or after the server's `Retry-After`. Clients
raise another error for what must never be retried at once: a rejection by TikTok, or a write
that is not idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

_RETRIED_BELOW_500 = frozenset({408, 423, 425, 429})
_PERMANENT_ABOVE_500 = frozenset({501, 505, 506, 510, 511})
"""Not implemented and the like: the same request will always get these."""
MAX_RETRY_AFTER_SECONDS = 120.0
_MAX_HEADER_CHARACTERS = 100


def is_transient_status(status: int) -> bool:
    """Whether the same request may get another response in a moment.

    True from 500 on, with few exceptions: services have their own codes (Cloudflare's 520 to 530,
    Supabase's 540, 544 and 546), and an unknown one is not the fault of the request.
    """
    if status >= 500:
        return status not in _PERMANENT_ABOVE_500
    return status in _RETRIED_BELOW_500


class TransientError(Exception):
    """A response that may be different in a moment.

    `retry_after`: the wait in seconds that the server asked for, if any.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """The `Retry-After` header (seconds or HTTP date, RFC 9110 10.2.3) as seconds, capped.

    A date is measured from the response's own `Date` header, not from our clock: with a clock that
    is ahead we would retry at once. None without a `Date`.
    """
    value = _header(headers, "Retry-After")
    if value is not None and value.strip().isdecimal():
        seconds = float(value)
    else:
        at, said_at = _instant(value), _instant(_header(headers, "Date"))
        if at is None or said_at is None:
            return None
        seconds = (at - said_at).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name) or headers.get(name.lower())
    return value if value and len(value) <= _MAX_HEADER_CHARACTERS else None


def _instant(value: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(value) if value else None
    except (ValueError, OverflowError):
        return None
    return at.replace(tzinfo=timezone.utc) if at and at.tzinfo is None else at


class _Wait(wait_random_exponential):
    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(error, TransientError) and error.retry_after is not None:
            return error.retry_after
        return super().__call__(retry_state)


def _policy(attempts: int, max_wait: float) -> dict[str, Any]:
    return {
        "retry": retry_if_exception_type(TransientError),
        "stop": stop_after_attempt(attempts),
        "wait": _Wait(multiplier=0.5, max=max_wait),
        "reraise": True,
    }


def retrying(attempts: int = 4, max_wait: float = 20.0) -> Retrying:
    """For blocking calls. `attempts` counts the first; `max_wait` is in seconds."""
    return Retrying(**_policy(attempts, max_wait))


def async_retrying(attempts: int = 4, max_wait: float = 20.0) -> AsyncRetrying:
    """For coroutines. `attempts` counts the first; `max_wait` is in seconds."""
    return AsyncRetrying(**_policy(attempts, max_wait))
