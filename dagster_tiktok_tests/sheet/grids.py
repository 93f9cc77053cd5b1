"""Grids for tests, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from dagster_tiktok.sheet.grid import Grid

READ_AT = datetime(2026, 11, 22, 14, 3, tzinfo=timezone.utc)


def grid_of(rows: Sequence[Sequence[Any]], title: str = "Posts") -> Grid:
    return Grid(title, [list(row) for row in rows], READ_AT)
