from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from dagster_tiktok.net.retry import (
    MAX_RETRY_AFTER_SECONDS,
    TransientError,
    async_retrying,
    parse_retry_after,
    retrying,
)


def test_transient_error_is_retried_after_the_servers_wait() -> None:
    calls = 0

    def flaky() -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise TransientError("busy", retry_after=0.0)
        return "ok"

    assert retrying()(flaky) == "ok"
    assert calls == 3


def test_last_error_is_raised_after_all_attempts() -> None:
    calls = 0

    async def failing() -> None:
        nonlocal calls
        calls += 1
        raise TransientError(f"attempt {calls}", retry_after=0.0)

    with pytest.raises(TransientError, match="attempt 2"):
        asyncio.run(async_retrying(2)(failing))


def test_other_errors_are_not_retried() -> None:
    calls = 0

    def broken() -> None:
        nonlocal calls
        calls += 1
        raise ValueError

    with pytest.raises(ValueError):
        retrying()(broken)
    assert calls == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("soon", None),
        ("999999", MAX_RETRY_AFTER_SECONDS),
        ("", None),
        ("Sun, 06 Nov 9999999999 08:49:37 GMT", None),
        ("Sun, 06 Nov 2026 99999999999999:49:37 GMT", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    assert parse_retry_after({"Retry-After": value}) == seconds


def test_retry_after_as_a_date() -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
    headers = {"Retry-After": format_datetime(now + timedelta(seconds=30), usegmt=True)}
    sent_at = {"Date": format_datetime(now, usegmt=True)}
    later = {"Date": format_datetime(now + timedelta(hours=1), usegmt=True)}
    assert parse_retry_after({**headers, **sent_at}) == 30
    assert parse_retry_after({**headers, **later}) == 0
    # By whose clock? This machine's may be an hour ahead, and would ask again at once.
    assert parse_retry_after(headers) is None
    assert parse_retry_after({**headers, "Date": "yesterday"}) is None
