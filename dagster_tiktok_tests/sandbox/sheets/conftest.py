from __future__ import annotations

from collections.abc import Iterator

import pytest

from dagster_tiktok_tests.support.sheet_calls import ROWS
from dagster_tiktok_tests.support.sheets import RunningSheets


@pytest.fixture
def sheets() -> Iterator[RunningSheets]:
    with RunningSheets(ROWS) as running:
        yield running
