"""Understanding 45,000 rows, against only decoding the JSON that they come in."""

from __future__ import annotations

import json
import resource
from datetime import datetime, timezone
from typing import Any

from benchmarks.measure import compare
from dagster_tiktok.sheet.grid import Grid
from dagster_tiktok.sheet.layout import find_layout
from dagster_tiktok.sheet.rows import read_rows

ROWS = 45_000
READY = 1_000


def main() -> None:
    header = ["Post URL", "VA", "Creator", "Set ID", "Type", "Status", "Date", "Error"]
    body = json.dumps([header, *(_row(number) for number in range(ROWS))])
    values: list[list[Any]] = json.loads(body)

    def understand() -> None:
        grid = Grid("Posts", values, datetime.now(timezone.utc))
        assert len(read_rows(grid, find_layout(grid), timezone.utc).ready) == READY

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    understand()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    name = f"read {ROWS:,} rows, {READY:,} of them ready"
    compare(name, understand, "bare json.loads", lambda: json.loads(body), per=1)
    print(f"{'':<44} {grown:9.1f} MB more at the peak")


def _row(number: int) -> list[Any]:
    address = (
        f"https://www.tiktok.com/@user{number % 49}/photo/{7_700_000_000_000_000_000 + number}"
    )
    status = "Ready to Scrape" if number % (ROWS // READY) == 0 else "Scraped"
    return [address, "Ana", "Maya", number % 200 + 1, "NEW", status, 46_000 + number % 300, ""]
