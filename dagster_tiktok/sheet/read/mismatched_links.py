"""Cells of `Post URL` that show one post and link to another: what they show counts.

That is what a VA sees and what the row is known by. But a link that was left under a changed text
is an easy mistake, so there is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dagster_tiktok.sheet.grid import Grid, LinkedCell, cell_at, cell_text, column_name
from dagster_tiktok.sheet.read.cell_links import group_rows
from dagster_tiktok.sheet.read.layout import Layout
from dagster_tiktok.sheet.write.ranges import grid_range
from dagster_tiktok.tiktok.links.post_links import PostUrlError, parse_post_link

_HYPERLINK = re.compile(r"[=+]\s*HYPERLINK\s*\(\s*\"([^\"]+)\"", re.IGNORECASE)
_MAX_SPANS = 100


def link_ranges(layout: Layout, rows: Sequence[int]) -> list[dict[str, int]]:
    """The `Post URL` cells of these rows (ascending), to ask for their links."""
    column = layout["Post URL"]
    return (
        [grid_range(a, column, b, column) for a, b in group_rows(rows, _MAX_SPANS)] if rows else []
    )


def parse_hyperlink(formula: str | None) -> tuple[str, ...]:
    """The link of a `HYPERLINK` formula, where it is typed out."""
    found = _HYPERLINK.match(formula or "")
    return (found[1],) if found else ()


def find_mismatched_links(
    grid: Grid, layout: Layout, rows: Iterable[int], links: Mapping[int, Sequence[str]]
) -> list[str]:
    """A message for each of the rows whose cell shows one post and links to another.

    Arguments:
        links: under the cells, by row.
    """
    column = layout["Post URL"]
    messages = []
    for number in rows:
        cell = cell_at(grid.row(number), column)
        shown = None if isinstance(cell, LinkedCell) else _post(cell_text(cell))
        posts = {post for link in links.get(number, ()) if (post := _post(link))}
        if shown and posts and shown not in posts:
            messages.append(
                f"the cell {column_name(column)}{number} shows the URL of one post and links to "
                "another; the pipeline scrapes the post that is shown: if you mean the other one, "
                f"paste its URL into the cell again (row {number})"
            )
    return messages


def _post(text: str) -> str | None:
    """The id; None for no post, and for a short link, which only TikTok can tell."""
    try:
        return parse_post_link(text).tiktok_id
    except PostUrlError:
        return None
