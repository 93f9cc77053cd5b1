"""What every report of a run names although the run may have succeeded.

Rows that nothing happens to, and columns that are missing or left alone: an asset leaves them in
its metadata, where the report, the alert and the UI find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg
from pydantic import BaseModel

from dagster_tiktok.text import printable

ATTENTION = "attention"
KEPT = 200
"""Of one asset: metadata is no place for a whole sheet."""

_ALERTED = 10


class Notice(BaseModel):
    """One thing that a VA should look at. `kind` is that of `sheet.rows.RowWarning`."""

    row: int
    kind: str
    warning: str

    def __str__(self) -> str:
        return printable(f"{self.warning} (row {self.row})")


def as_metadata(notices: Iterable[Notice]) -> dict[str, Any]:
    """The metadata of an asset; `attention_count` is plotted over time."""
    listed = [notice.model_dump() for notice in notices]
    return {
        ATTENTION: dg.MetadataValue.json(listed[:KEPT]),
        f"{ATTENTION}_count": len(listed),
    }


def notices_of(events: Iterable[dg.DagsterEvent | None]) -> tuple[Notice, ...]:
    """What the assets of a run left, in order, from its events."""
    found: dict[str, Notice] = {}
    for event in events:
        if event is None or event.event_type is not dg.DagsterEventType.ASSET_MATERIALIZATION:
            continue
        value = event.step_materialization_data.materialization.metadata.get(ATTENTION)
        if isinstance(value, dg.JsonMetadataValue) and isinstance(value.data, list):
            for item in value.data:
                notice = Notice.model_validate(item)
                found.setdefault(str(notice), notice)
    return tuple(found.values())


def alert_text(partition: str | None, notices: Sequence[Notice]) -> str:
    """What an alert says of rows and columns that a VA should look at."""
    lines = [f"- {notice}" for notice in notices[:_ALERTED]]
    if len(notices) > _ALERTED:
        lines.append(f"- and {len(notices) - _ALERTED} more, see the asset sheet_rows")
    day = partition or "no partition"
    return "\n".join([f"The sheet on {day}: please look at", *lines])
