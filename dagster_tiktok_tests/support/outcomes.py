"""Outcomes for tests, and what the sheet shows after them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from dagster_tiktok.models import Metrics
from dagster_tiktok.sheet.write.plan import RowOutcome
from dagster_tiktok_tests.support.sheets import address

SCRAPED_AT = datetime(2026, 11, 22, 14, 3, tzinfo=timezone.utc)


def scraped(number: int, **changes: Any) -> RowOutcome:
    values: dict[str, Any] = {
        "source_key": address(number),
        "outcome": "scraped",
        "metrics": Metrics(views=100 + number, likes=number, comments=1),
        "slide_count": 0,
        "scraped_at": SCRAPED_AT,
    }
    return RowOutcome(**(values | changes))


def failed(number: int) -> RowOutcome:
    return RowOutcome(source_key=address(number), outcome="unavailable", reason="Post is deleted")


def is_written_back(row: dict[str, Any], number: int) -> bool:
    found = (row["Status"], row["Error"], row["Scraped At"], row["Views"], row["Likes"])
    return found == ("Scraped", "", "2026-11-22 14:03", 100 + number, number)
