from __future__ import annotations

from collections.abc import Iterator

import pytest

from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, sheet_row


@pytest.fixture
def sheets() -> Iterator[RunningSheets]:
    """A sheet with the ready rows 1 to 6."""
    with RunningSheets([HEADER, *map(sheet_row, range(1, 7))]) as running:
        yield running
