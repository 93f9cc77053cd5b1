"""Reading 45,000 rows, against gspread's bare `values_batch_get` of the same rows.

The server runs in a process of its own, so that its work and memory are not ours.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timezone
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gspread
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.service_account import Credentials
from gspread.urls import SPREADSHEETS_API_V4_BASE_URL

from benchmarks.measure import compare, peak_megabytes
from dagster_tiktok.sandbox.sheets.server import SheetsServer
from dagster_tiktok.settings import Settings, load_settings
from dagster_tiktok.sheet.api.service_account import SCOPES, TokenRequest
from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok.sheet.grid import Grid
from dagster_tiktok.sheet.read.layout import find_layout
from dagster_tiktok.sheet.read.rows import read_rows
from dagster_tiktok.sheet.write.computed_cells import ComputedCells

ROWS = 45_000
HELPED_ROWS = 5_000
HEADER = ["Post URL", "VA", "Creator", "Set ID", "Type", "Status", "Date", "Error", "Views"]


def main() -> None:
    _with_helper_columns()
    spawn = multiprocessing.get_context("spawn")
    for ready in (1_000, ROWS):
        with _served(ready) as settings:
            name = f"read {ROWS:,} rows, {ready:,} of them ready"
            with SheetClient(settings, settings.sheets[0]) as client, _Bare(settings) as bare:
                assert len(_understood(client)) == ready
                compare(name, lambda: _understood(client), "values_batch_get", bare.read, per=1)
            grown = []
            for work in (_understood_once, _bare_once):
                ours, theirs = spawn.Pipe()
                process = spawn.Process(target=work, args=(settings, theirs))
                process.start()
                grown.append(ours.recv())
                process.join()
            print(f"{'':<44} {grown[0] - grown[1]:9.1f} MB more at the peak than the bare call")


def _with_helper_columns() -> None:
    """What is computed on 5,000 rows with two columns of helper formulas."""
    texts = [["https:", "https:x", "Ready to Scrape"] for _ in range(HELPED_ROWS)]
    formulas = [
        [f'=IFERROR(INDEX(SPLIT(D{row},"/"),5),"")', f'=A{row}&"x"', "Ready to Scrape"]
        for row in range(1, HELPED_ROWS + 1)
    ]
    started = time.perf_counter()
    computed = ComputedCells(Grid("Posts", texts), Grid("Posts", formulas))
    assert not any(computed.is_filled(row, 2) for row in range(1, HELPED_ROWS + 1))
    name = f"formulas of {HELPED_ROWS:,} rows, 2 helper columns"
    print(f"{name:<44} {1000 * (time.perf_counter() - started):9.1f} ms")


def _understood(client: SheetClient) -> tuple[Any, ...]:
    grid = client.read()
    return read_rows(grid, find_layout(grid), timezone.utc).ready


def _understood_once(settings: Settings, answer: Connection) -> None:
    with SheetClient(settings, settings.sheets[0]) as client:
        _understood(client)
    answer.send(peak_megabytes())


def _bare_once(settings: Settings, answer: Connection) -> None:
    with _Bare(settings) as bare:
        bare.read()
    answer.send(peak_megabytes())


class _Bare(gspread.HTTPClient):
    """gspread as it is, for another address than Google's."""

    def __init__(self, settings: Settings) -> None:
        info = json.loads(settings.google_sheets_credentials.get_secret_value())
        credentials = Credentials.from_service_account_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]
        self._tokens = Request()
        request = TokenRequest(self._tokens.session, info["token_uri"])
        session = AuthorizedSession(credentials, auth_request=request)  # type: ignore[no-untyped-call]
        super().__init__(None, session)  # type: ignore[arg-type]
        self._settings = settings

    def __enter__(self) -> _Bare:
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.close()

    def read(self) -> Any:
        params: Any = {"valueRenderOption": "UNFORMATTED_VALUE"}
        return self.values_batch_get(self._settings.sheets[0].spreadsheet_id, ["A:ZZZ"], params)

    def request(self, method: Any, endpoint: str, *args: Any, **kwargs: Any) -> Any:
        base = f"{self._settings.google_sheets_api_url}/v4/spreadsheets"
        address = endpoint.replace(SPREADSHEETS_API_V4_BASE_URL, base, 1)
        return super().request(method, address, *args, **kwargs)


@contextmanager
def _served(ready: int) -> Iterator[Settings]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(ready, theirs))
    process.start()
    account, sheet_url, api_url = ours.recv()
    try:
        yield load_settings(
            None,
            supabase_url="http://127.0.0.1:9",
            supabase_key="sb_secret_unused",
            google_sheets_credentials=account,
            google_sheet_url=sheet_url,
            google_sheets_api_url=api_url,
        )
    finally:
        ours.send(None)
        process.join()


def _serve(ready: int, parent: Connection) -> None:
    async def until_told() -> None:
        rows = [HEADER, *(_row(number, ready) for number in range(ROWS))]
        with tempfile.TemporaryDirectory() as folder:
            server = SheetsServer(rows, service_account_path=Path(folder) / "account.json")
            await server.start()
            parent.send((json.dumps(server.service_account_info()), server.sheet_url, server.url))
            await asyncio.to_thread(parent.recv)
            await server.close()

    asyncio.run(until_told())


def _row(number: int, ready: int) -> list[Any]:
    address = (
        f"https://www.tiktok.com/@user{number % 49}/photo/{7_700_000_000_000_000_000 + number}"
    )
    status = "Ready to Scrape" if number % (ROWS // ready) == 0 else "Scraped"
    return [address, "Ana", "Maya", number % 200 + 1, "NEW", status, 46_000 + number % 300, "", 100]
