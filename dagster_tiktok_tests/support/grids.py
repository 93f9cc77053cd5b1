"""Grids for tests, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster_tiktok.sheet.grid import Grid


def grid_of(rows: Sequence[Sequence[Any]], title: str = "Posts") -> Grid:
    return Grid(title, [list(row) for row in rows])
