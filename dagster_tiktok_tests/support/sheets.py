"""A sandbox Google Sheet in a thread of its own, and the settings that point at it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from dagster_tiktok.sandbox.sheets.server import SheetsServer
from dagster_tiktok.settings import Settings
from dagster_tiktok.sheet.api.bounded_session import MAX_SHEET_BYTES
from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok_tests.support.settings import build_settings
from dagster_tiktok_tests.support.threads import EventLoopThread

_directory = tempfile.TemporaryDirectory()

HEADER = [
    "Post URL", "VA", "Creator", "Set ID", "Type", "Status", "Date",
    "Error", "Scraped At", "Views", "Likes", "Comments", "Shares", "Slides", "Notes",
]  # fmt: skip


def address(number: int) -> str:
    return f"https://www.tiktok.com/@someone/video/73{number:017d}"


def sheet_row(number: int, **cells: Any) -> list[Any]:
    """A ready row about post `number`; `cells` by header, with `_` for a space."""
    values = dict.fromkeys(HEADER, "")
    values |= {
        "Post URL": address(number),
        "VA": "Ann",
        "Creator": "Bob",
        "Set ID": str(number),
        "Type": "NEW",
        "Status": "Ready to Scrape",
        "Notes": f"note {number}",
    }
    values |= {name.replace("_", " "): value for name, value in cells.items()}
    return [values[name] for name in HEADER]


class RunningSheets:
    """`with RunningSheets(rows) as sheets:` serves them on a port that the system chose."""

    def __init__(self, rows: Sequence[Sequence[Any]], **options: Any) -> None:
        # One key for all tests: making one takes a third of a second.
        account = {"service_account_path": Path(_directory.name) / "service_account.json"}
        self.server = SheetsServer([list(row) for row in rows], **(account | options))
        self._clients: list[SheetClient] = []
        self._session = requests.Session()

    def __enter__(self) -> RunningSheets:
        self._thread = EventLoopThread()
        self._thread.run(self.server.start())
        return self

    def __exit__(self, *exc: object) -> None:
        for client in self._clients:
            client.close()
        self._session.close()
        self._thread.run(self.server.close())
        self._thread.close()

    def settings(self, **changes: Any) -> Settings:
        own = {
            "google_sheets_credentials": json.dumps(self.server.service_account_info()),
            "google_sheet_url": self.server.sheet_url,
            "google_sheets_api_url": self.server.url,
        }
        return build_settings(**{**own, **changes})

    def client(
        self,
        *,
        attempts: int = 4,
        max_wait: float = 0.05,
        max_bytes: int = MAX_SHEET_BYTES,
        **changes: Any,
    ) -> SheetClient:
        settings = self.settings(**changes)
        client = SheetClient(
            settings,
            settings.sheets[0],
            attempts=attempts,
            max_wait=max_wait,
            max_bytes=max_bytes,
        )
        self._clients.append(client)
        return client

    def control(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.server.url}/_control/{path}"
        response = self._session.request(method, url, json=body, timeout=120)
        response.raise_for_status()
        return response.json()

    def fault(self, kind: str, operation: str, **values: Any) -> None:
        self.control("POST", "faults", {"kind": kind, "operation": operation, **values})

    def edit(self, *edits: dict[str, Any]) -> None:
        self.control("POST", "rows", {"edits": list(edits)})

    def rows(self) -> list[dict[str, Any]]:
        """The rows below the header (row 1), by header."""
        header, *rows = self.control("GET", "rows")["rows"]
        return [
            {name: row[i] if i < len(row) else "" for i, name in enumerate(header)} for row in rows
        ]

    def by_note(self) -> dict[Any, dict[str, Any]]:
        return {row["Notes"]: row for row in self.rows()}

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.control("GET", "requests")["counts"]
        return counts
