"""What a VA should check in the sheet, even after a successful run.

Ignored rows, columns that are missing or not written, cells that were not accepted: an asset leaves
them in its metadata, where the report, the alert and the UI find them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import BaseModel

from dagster_tiktok.text import printable

ATTENTION = "attention"
KEPT = 200
"""The most notices that one asset keeps: metadata is no place for a whole sheet."""

_COUNTS = "attention_by_kind"
_ALERTED = 10
_COUNTED_ALONE = frozenset({"value"})
"""Kinds that only `--json` lists: the row is scraped anyway."""

_RANKS = {"column": 0, "ready": 1, "repeated": 1, "row_ignored": 2, "value": 3}
_NAMES = {
    "column": ("column", "columns"),
    "row_ignored": ("ignored row", "ignored rows"),
    "repeated": ("post in several rows", "posts in several rows"),
    "value": ("cell that was not accepted as it is", "cells that were not accepted as they are"),
}


class Notice(BaseModel):
    """One thing that a VA should check. `kind` is that of `sheet.read.rows.RowWarning`.

    `row` is None for a column; `ready`: the row waits to be scraped.
    """

    row: int | None
    kind: str
    warning: str
    ready: bool = False

    def __str__(self) -> str:
        # A column has no row, and the text about a post in several rows names them.
        where = "" if self.row is None or self.kind == "repeated" else f" (row {self.row})"
        return printable(f"{self.warning}{where}")

    @property
    def is_listed(self) -> bool:
        """Whether reports list it; the others are only counted."""
        return self.kind not in _COUNTED_ALONE


def in_order(notices: Iterable[Notice]) -> list[Notice]:
    """Sorts: columns, then waiting rows, then the others, each from the bottom of the sheet up."""
    return sorted(
        notices,
        key=lambda n: (
            (_RANKS.get("ready" if n.ready else n.kind, 2), -(n.row or 0))
            if n.is_listed
            else (_RANKS["value"], -(n.row or 0))
        ),
    )


def as_metadata(notices: Iterable[Notice]) -> dict[str, Any]:
    """The notices as metadata of an asset. The UI plots `attention_count` over time."""
    ordered = in_order(notices)
    return {
        ATTENTION: dg.MetadataValue.json([notice.model_dump() for notice in ordered[:KEPT]]),
        _COUNTS: dg.MetadataValue.json(dict(Counter(notice.kind for notice in ordered))),
        f"{ATTENTION}_count": sum(notice.is_listed for notice in ordered),
    }


def collect_notices(events: Iterable[dg.DagsterEvent | None]) -> tuple[Notice, ...]:
    """Collects the notices of a run from its events, sorted."""
    found: dict[str, Notice] = {}
    for value in _json_metadata(events, ATTENTION):
        for item in value if isinstance(value, list) else ():
            notice = Notice.model_validate(item)
            found.setdefault(str(notice), notice)
    return tuple(in_order(found.values()))


def count_notices(events: Iterable[dg.DagsterEvent | None]) -> Counter[str]:
    """Counts the notices of each kind, including those that are not kept."""
    counts: Counter[str] = Counter()
    for value in _json_metadata(events, _COUNTS):
        counts.update(value if isinstance(value, dict) else {})
    return counts


def counted(counts: Mapping[str, int]) -> str:
    """`2 columns, 1 ignored row`; "" if there is nothing."""
    return ", ".join(
        f"{counts[kind]:,} {names[counts[kind] != 1]}"
        for kind, names in _NAMES.items()
        if counts.get(kind)
    )


def _json_metadata(events: Iterable[dg.DagsterEvent | None], key: str) -> Iterator[Any]:
    for event in events:
        if event is None or event.event_type is not dg.DagsterEventType.ASSET_MATERIALIZATION:
            continue
        value = event.step_materialization_data.materialization.metadata.get(key)
        if isinstance(value, dg.JsonMetadataValue):
            yield value.data


def alert_text(partition: str | None, notices: Sequence[Notice]) -> str:
    """The alert about rows and columns that a VA should check."""
    notices = [notice for notice in notices if notice.is_listed]
    lines = [f"- {notice}" for notice in notices[:_ALERTED]]
    if len(notices) > _ALERTED:
        lines.append(f"- and {len(notices) - _ALERTED} more, see the asset sheet_rows")
    day = partition or "no partition"
    return "\n".join([f"The sheet on {day}: please check", *lines])
