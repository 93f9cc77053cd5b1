"""What the assets share: their arguments and how they show metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import dagster as dg

from dagster_tiktok.sheet.urls import SheetUrl
from dagster_tiktok.text import truncate

GROUP = "tiktok"
OWNERS = ["team:content-data"]
ONLY_WAITS = "only_waits"
"""Key in the metadata of a failure: every unfinished unit waits for its next attempt."""


class AssetArguments(TypedDict):
    group_name: str
    owners: list[str]
    kinds: set[str]
    description: str
    code_version: str


def asset_arguments(*, kinds: set[str], description: str, version: str = "1") -> AssetArguments:
    """The arguments that are the same for every asset of the group."""
    return {
        "group_name": GROUP,
        "owners": OWNERS,
        "kinds": kinds,
        "description": description,
        "code_version": version,
    }


def sheet_links(sheets: Sequence[SheetUrl]) -> dict[str, dg.MetadataValue]:
    """Links to the sheets as metadata, one entry each."""
    return {
        "sheet" if sheet.of == 1 else f"sheet_{sheet.number}": dg.MetadataValue.url(sheet.url)
        for sheet in sheets
    }


def failed_sheets(failed: Mapping[str, str]) -> dict[str, dg.MetadataValue]:
    """The sheets that failed, and why, as metadata. Empty if none failed."""
    if not failed:
        return {}
    rows = [[name, text] for name, text in failed.items()]
    return {"sheets_failed": dg.MetadataValue.md(markdown_table(["sheet", "why"], rows))}


def rate(count: int, seconds: float) -> float:
    """`count` per second, for metadata."""
    return round(count / seconds, 2) if seconds > 0 else 0.0


def markdown_table(headers: list[str], rows: list[list[Any]]) -> str:
    """A preview. Cells hold scraped and typed text, so Markdown and HTML are escaped."""
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(headers)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


_CELL_CHARACTERS = 300
_ESCAPES = str.maketrans(
    {c: f"\\{c}" for c in "\\`*_{}[]()#!|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = " ".join(str(value).split())
    # A message ends with what to do about it, which has to be read too.
    return truncate(text, _CELL_CHARACTERS).translate(_ESCAPES)
