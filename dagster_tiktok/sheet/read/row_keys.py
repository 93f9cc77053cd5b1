"""The key of a row: what finds it again wherever it moves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from dagster_tiktok.sheet.grid import Cell, cell_at, cell_text
from dagster_tiktok.sheet.read.layout import Layout

MAX_KEY_CHARACTERS = 500
"""A longer key is kept as its hash: it has to fit into a database index."""

# Without Date: as a formula (`=NOW()`) it gives another key at every read, so the row would never
# be found again. Rows that share such a key have the same problem, and get the same outcome.
_KEY_COLUMNS_WITHOUT_URL = ("VA", "Creator", "Set ID", "Type")
_KEY_MARKS = ("row:", "sha256:")


def row_key(row: Sequence[Cell], layout: Layout) -> str:
    """The row's URL as typed; a row without one is known by the other cells that a VA filled in."""
    url = cell_text(cell_at(row, layout["Post URL"]))
    if url:
        # A text that looks like a computed key must not be taken for another row's.
        is_plain = len(url) <= MAX_KEY_CHARACTERS and not url.startswith(_KEY_MARKS)
        return url if is_plain else _hash(url)
    cells = " | ".join(
        cell_text(cell_at(row, layout[name])) if name in layout else ""
        for name in _KEY_COLUMNS_WITHOUT_URL
    )
    key = "row:" + cells
    return key if len(key) <= MAX_KEY_CHARACTERS else "row:" + _hash(cells)


def _hash(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
