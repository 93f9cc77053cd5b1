"""The sandbox's Google Sheets: one spreadsheet behind the interface that gspread uses.

Loopback only. Quotas, faults and users' edits are set through the endpoints of `control`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from dagster_tiktok.sandbox.sheets.api import ApiError, SheetsApi
from dagster_tiktok.sandbox.sheets.book import Book, Cell, Tab
from dagster_tiktok.sandbox.sheets.control import SheetsControl, tab_asked_for
from dagster_tiktok.sandbox.sheets.edits import apply_edits
from dagster_tiktok.sandbox.sheets.gate import Fault, Gate, Quota
from dagster_tiktok.sandbox.sheets.page import render_page
from dagster_tiktok.sandbox.sheets.service_account import (
    GRANT_TYPE,
    SHEETS_SCOPE,
    ServiceAccount,
    TokenError,
)

_Handler = Callable[[web.Request], Awaitable[Any]]
_MAX_BODY_BYTES = 64 * 2**20
_ID_CHARACTERS = string.ascii_letters + string.digits + "_-"


class SheetsServer:
    """Serves one spreadsheet until it is closed.

    Arguments:
        rows: the first tab's cells, header included, stored as they are.
        title: of the spreadsheet.
        tab_title: of the first tab.
        seed: decides the spreadsheet's id and the first tab's gid.
        reads_per_minute, writes_per_minute: the service account's quotas.
        service_account_path: where the account's JSON is written (mode 600) and, from an earlier
            start, read.
        state_path: keeps the cells between starts; what it holds wins over `rows`.
        token_lifetime_seconds: of access tokens.
        quota_window_seconds: Google's is a minute.
        edits: applied to `rows` at the first start, see `edits.py`.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[Cell]],
        *,
        title: str = "TikTok posts",
        tab_title: str = "Posts",
        seed: int = 0,
        reads_per_minute: int = 60,
        writes_per_minute: int = 60,
        service_account_path: Path | None = None,
        state_path: Path | None = None,
        token_lifetime_seconds: float = 3600,
        quota_window_seconds: float = 60,
        edits: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        dice = random.Random(f"sheet {seed}")
        spreadsheet_id = "1" + "".join(dice.choices(_ID_CHARACTERS, k=43))
        self.book = Book(spreadsheet_id, title, [], path=state_path)
        if not self.book.tabs:
            self.book.add_tab(tab_title, rows, gid=dice.randrange(10**6, 2**31))
            apply_edits(self.book, edits)
        self.account = ServiceAccount.at(
            service_account_path, token_lifetime_seconds=token_lifetime_seconds
        )
        self.gate = Gate(
            reads=Quota(reads_per_minute, quota_window_seconds),
            writes=Quota(writes_per_minute, quota_window_seconds),
        )
        self._account_path = service_account_path
        self._runner: web.AppRunner | None = None
        self.host, self.port = "", 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listens; port 0 lets the system choose. Raises ValueError for a host not loopback."""
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the sandbox listens on loopback only, not on {host}")
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.host, self.port = host, self._runner.addresses[0][1]
        if self._account_path is not None:
            self.account.save(self._account_path, self.token_uri)

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """The base URL: what `GOOGLE_SHEETS_API_URL` is set to."""
        return f"http://{self.host}:{self.port}"

    @property
    def token_uri(self) -> str:
        return f"{self.url}/token"

    @property
    def spreadsheet_id(self) -> str:
        return self.book.spreadsheet_id

    @property
    def sheet_url(self) -> str:
        """The first tab's URL, for `GOOGLE_SHEET_URL` and for a browser."""
        return self.sheet_url_of(self.book.tabs[0])

    def sheet_url_of(self, tab: Tab) -> str:
        return f"{self.url}/spreadsheets/d/{self.spreadsheet_id}/edit#gid={tab.gid}"

    def service_account_info(self) -> dict[str, str]:
        """The service account's JSON; its `token_uri` is this server's."""
        return self.account.info(self.token_uri)

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        api = SheetsApi(self.book, f"/spreadsheets/d/{self.spreadsheet_id}/edit")
        sheet = "/v4/spreadsheets/{id}"
        app.add_routes(
            [
                web.post("/token", self._guarded("token", self._token)),
                web.get(f"{sheet}/values:batchGet", self._guarded("read", api.batch_get)),
                web.post(
                    f"{sheet}/values:batchGetByDataFilter",
                    self._guarded("read", api.batch_get_by_data_filter),
                ),
                web.post(f"{sheet}/values:batchUpdate", self._guarded("write", api.batch_update)),
                web.post(
                    f"{sheet}/values:batchUpdateByDataFilter",
                    self._guarded("write", api.batch_update_by_data_filter),
                ),
                web.post(
                    f"{sheet}:getByDataFilter",
                    self._guarded("metadata", api.metadata_by_data_filter),
                ),
                web.get(f"{sheet}/values/{{range:.+}}", self._guarded("read", api.get)),
                web.put(f"{sheet}/values/{{range:.+}}", self._guarded("write", api.update)),
                web.get(sheet, self._guarded("metadata", api.metadata)),
                web.get("/spreadsheets/d/{id}/edit", self._page),
            ]
        )
        app.add_routes(SheetsControl(self.book, self.account, self.gate).routes())
        return app

    def _guarded(
        self, operation: str, handler: _Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            await request.read()  # what is logged has arrived, whatever becomes of its sender
            entry = self.gate.log.open(operation, request.method, request.path)
            fault = self.gate.faults.next(operation)
            if fault is not None and fault.kind == "edit":
                entry["edits"] = fault.edits
            try:
                response = await self._respond(operation, handler, request, fault)
            except ApiError as error:
                response = error.response()
            entry["status"] = response.status if request.transport is not None else None
            return response

        return handle

    async def _respond(
        self, operation: str, handler: _Handler, request: web.Request, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None and not fault.strikes_after:
            struck = await self._strike(fault, request)
            if struck is not None:
                return struck
        if operation != "token":
            self._admit(operation, request)
        result = await handler(request)
        if fault is not None and fault.strikes_after:
            struck = await self._strike(fault, request)
            if struck is not None:
                return struck
        response = result if isinstance(result, web.Response) else web.json_response(result)
        if fault is not None and fault.kind == "truncated":
            return await _truncated(request, response)
        return response

    def _admit(self, operation: str, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        scopes = self.account.scopes_of_token(token) if scheme == "Bearer" else None
        if scopes is None:
            raise ApiError(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, "
                "login cookie or other valid authentication credential.",
            )
        writes = operation == "write"
        kind = "Write" if writes else "Read"
        if not (self.gate.writes if writes else self.gate.reads).take():
            raise ApiError(
                429,
                f"Quota exceeded for quota metric '{kind} requests' and limit '{kind} requests per "
                "minute per user' of service 'sheets.googleapis.com' for consumer "
                "'project_number:100000000001'.",
            )
        if writes and SHEETS_SCOPE not in scopes:
            raise ApiError(403, "Request had insufficient authentication scopes.")
        if self.gate.role == "none" or (writes and self.gate.role == "reader"):
            raise ApiError(403, "The caller does not have permission")

    async def _strike(self, fault: Fault, request: web.Request) -> web.StreamResponse | None:
        """What the client gets instead of a response; None lets the request go on."""
        if fault.name == "slow":
            await asyncio.sleep(fault.delay_seconds)
        elif fault.name == "edit":
            apply_edits(self.book, fault.edits)
        elif fault.name == "dropped":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)
        elif fault.name == "html":
            return web.Response(text="<html><body>Sorry…</body></html>", content_type="text/html")
        elif fault.name == "rate_limited":
            headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            raise ApiError(429, "Quota exceeded for quota metric.", headers=headers)
        elif fault.name == "forbidden":
            raise ApiError(403, "The caller does not have permission")
        elif fault.name == "unavailable":
            raise ApiError(503, "The service is currently unavailable.")
        elif fault.name == "error_500":
            raise ApiError(500, "Internal error encountered.")
        return None

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            if form.get("grant_type") != GRANT_TYPE:
                raise TokenError("unsupported_grant_type", "Invalid grant_type")
            token = self.account.issue(str(form.get("assertion", "")), audience=self.token_uri)
        except TokenError as rejection:
            error = {"error": rejection.error, "error_description": rejection.description}
            return web.json_response(error, status=400)
        return web.json_response(token)

    async def _page(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != self.spreadsheet_id:
            raise web.HTTPNotFound(text="No such spreadsheet.")
        page, policy = render_page(self.book, tab_asked_for(self.book, request))
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return web.Response(text=page, content_type="text/html", headers=headers)


async def _truncated(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    cut = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut
