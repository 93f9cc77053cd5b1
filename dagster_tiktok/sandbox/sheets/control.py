"""The control endpoints of the sandbox's Google Sheets, JSON both ways.

GET  /_control/rows[?gid=…]   every cell of a tab
POST /_control/rows           {"edits": [...]}, see `edits`
POST /_control/faults         a fault (see `gate.Fault`) or a list of them; GET, DELETE
GET  /_control/requests       the request log and its counts; DELETE empties it
POST /_control/tokens/expire  forgets every access token
POST /_control/access         {"role": "writer" | "reader" | "none"}
POST /_control/reset          faults, log, quotas and access as at the start; the cells stay
"""

from __future__ import annotations

from aiohttp import web

from dagster_tiktok.sandbox.sheets.book import Book, FormulaCell, Tab, rendered
from dagster_tiktok.sandbox.sheets.edits import EditError, apply_edits
from dagster_tiktok.sandbox.sheets.gate import ROLES, Gate
from dagster_tiktok.sandbox.sheets.service_account import ServiceAccount


class SheetsControl:
    def __init__(self, book: Book, account: ServiceAccount, gate: Gate) -> None:
        self._book = book
        self._account = account
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_control/rows", self._rows),
            web.post("/_control/rows", self._edit),
            web.get("/_control/faults", self._faults),
            web.post("/_control/faults", self._faults),
            web.delete("/_control/faults", self._faults),
            web.get("/_control/requests", self._requests),
            web.delete("/_control/requests", self._requests),
            web.post("/_control/tokens/expire", self._expire),
            web.post("/_control/access", self._access),
            web.post("/_control/reset", self._reset),
        ]

    async def _rows(self, request: web.Request) -> web.Response:
        tab = tab_asked_for(self._book, request)
        rows = [
            [
                {"formula": cell.formula}
                if isinstance(cell, FormulaCell)
                else rendered(cell, "UNFORMATTED_VALUE", dates_as_text=True)
                for cell in row
            ]
            for row in tab.rows
        ]
        return web.json_response({"gid": tab.gid, "title": tab.title, "rows": rows})

    async def _edit(self, request: web.Request) -> web.Response:
        try:
            apply_edits(self._book, (await request.json())["edits"])
        except (EditError, ValueError, KeyError, TypeError) as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return web.json_response({})

    async def _faults(self, request: web.Request) -> web.Response:
        if request.method == "DELETE":
            self._gate.faults.clear()
        elif request.method == "POST":
            body = await request.json()
            try:
                for values in body if isinstance(body, list) else [body]:
                    self._gate.faults.add(values)
            except (TypeError, ValueError) as error:
                raise web.HTTPBadRequest(text=str(error)) from None
        return web.json_response({"faults": self._gate.faults.describe()})

    async def _requests(self, request: web.Request) -> web.Response:
        if request.method == "DELETE":
            self._gate.log.clear()
        return web.json_response(self._gate.log.describe())

    async def _expire(self, request: web.Request) -> web.Response:
        return web.json_response({"expired": self._account.expire_tokens()})

    async def _access(self, request: web.Request) -> web.Response:
        role = (await request.json()).get("role")
        if role not in ROLES:
            raise web.HTTPBadRequest(text=f"role must be one of {', '.join(ROLES)}")
        self._gate.role = role
        return web.json_response({"role": role})

    async def _reset(self, request: web.Request) -> web.Response:
        self._gate.reset()
        return web.json_response({})


def tab_asked_for(book: Book, request: web.Request) -> Tab:
    """The tab of `?gid=`, else the first. Raises HTTPNotFound."""
    gid = request.query.get("gid", "")
    tab = book.tab_of_gid(int(gid)) if gid.isdecimal() else book.tabs[0]
    if tab is None:
        raise web.HTTPNotFound(text=f"No tab has the gid {gid}.")
    return tab
