"""Columns that carry a name of the pipeline's and hold what the team wrote into them.

Teams keep remarks under `Comments` or a plan under `Slides`. A name alone does not hand such a
column over: one value that the pipeline never writes there, and the column is left alone. Only
numbers cannot be told from its own.
"""

from __future__ import annotations

import re

from dagster_tiktok.sheet.grid import Grid, cell_text, has_no_value
from dagster_tiktok.sheet.read.headers import normalize_header
from dagster_tiktok.text import quoted

# A column formatted as text gives numbers as text. `Scraped At` is written as text, and is a number
# where somebody had Sheets understand it as a date.
_NUMBER = re.compile(r"[0-9]+(?:[., ][0-9]+)*")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")
WRITTEN_FORMATS = {
    "Scraped At": _TIME,
    **dict.fromkeys(("Views", "Likes", "Comments", "Shares", "Slides"), _NUMBER),
}
"""What the pipeline writes, by column. `Error` is judged by the database, see `error_column`."""


def find_foreign_value(
    grid: Grid, header_row: int, column: int, header: str, pattern: re.Pattern[str]
) -> tuple[int, str] | None:
    """The first row, with its text, whose cell is neither empty nor in the pipeline's format."""
    own_header = normalize_header(header)
    for number, row in enumerate(grid.rows[header_row:], start=header_row + 1):
        value = row[column] if column < len(row) else ""
        if value in ("", None) or type(value) in (int, float) or has_no_value(value):
            continue
        text = cell_text(value)
        ours = not isinstance(value, bool) and pattern.fullmatch(text)
        # A header that is repeated further down is not a remark.
        if text and not ours and normalize_header(text) != own_header:
            return number, text
    return None


def foreign_value_message(header: str, text: str, row: int) -> str:
    """The warning about such a column."""
    return (
        f"the column {quoted(header)} holds {quoted(text)} in row {row}, which the pipeline "
        "did not write, so the column is left alone: give it another header, or clear the cell to "
        "let the pipeline write the column"
    )
