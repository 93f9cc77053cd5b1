"""The column `Error`, which is the pipeline's only if it holds nothing that the team wrote.

No pattern recognizes its texts, and today's wording says nothing about older versions: so
the database remembers what was written. One text that it does not know, and the column is left
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from dagster_tiktok.sheet.grid import Grid, cell_at, cell_text, has_no_value
from dagster_tiktok.sheet.read.foreign_values import foreign_value_message
from dagster_tiktok.sheet.read.headers import normalize_header
from dagster_tiktok.sheet.read.layout import Layout

ERROR = "Error"

WrittenErrors = Callable[[Collection[str], Collection[str]], Collection[str]]
"""The texts found, and those about to be written, to those of the first that were ever written.

The second are remembered when it returns, so it is called before the write.
"""


def no_written_errors(found: Collection[str], writing: Collection[str]) -> Collection[str]:
    """For a sheet that the pipeline has never written to: no text is its own."""
    del found, writing
    return ()


def find_foreign_error(
    grid: Grid, layout: Layout, writing: Collection[str], written_before: WrittenErrors
) -> str | None:
    """The warning where the column holds a text that the pipeline never wrote, else None."""
    if ERROR not in layout:
        return None
    found = _texts(grid, layout)
    ours = written_before(list(found), writing) if found or writing else ()
    foreign = next((text for text in found if text not in ours), None)
    if foreign is None:
        return None
    return foreign_value_message(layout.headers[ERROR], foreign, found[foreign])


def _texts(grid: Grid, layout: Layout) -> dict[str, int]:
    """What stands in the column, by text the first row of it, from the top down."""
    header = normalize_header(layout.headers[ERROR])
    found: dict[str, int] = {}
    for number, row in enumerate(grid.rows[layout.header_row :], start=layout.header_row + 1):
        value = cell_at(row, layout[ERROR])
        text = cell_text(value)
        # A header that is repeated further down is not a remark.
        if text and not has_no_value(value) and normalize_header(text) != header:
            found.setdefault(text, number)
    return found
