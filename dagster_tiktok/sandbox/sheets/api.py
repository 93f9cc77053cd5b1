"""The part of the Sheets v4 API that the sandbox speaks: metadata, values, their errors.

https://developers.google.com/sheets/api/reference/rest
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from dagster_tiktok.sandbox.sheets import formulas
from dagster_tiktok.sandbox.sheets.a1 import Area, Box, RangeError, format_range, parse_range
from dagster_tiktok.sandbox.sheets.book import Book, Cell, CellError, FormulaCell, Tab, rendered
from dagster_tiktok.sandbox.sheets.fields import FieldsError, field_mask, masked
from dagster_tiktok.sandbox.sheets.grid_data import grid_data, merges_of

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
PROTECTED = (
    "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to "
    "remove protection if you need to edit."
)
_RENDER_OPTIONS = ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA")
_DATE_OPTIONS = ("SERIAL_NUMBER", "FORMATTED_STRING")
_DIMENSIONS = ("ROWS", "COLUMNS")


class ApiError(Exception):
    """An error response, in the form that Google gives it."""

    def __init__(
        self, code: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        error = {"code": self.code, "message": self.message, "status": _STATUS[self.code]}
        return web.json_response({"error": error}, status=self.code, headers=self.headers)


class SheetsApi:
    """The handlers. Each takes the request and returns the JSON of its response."""

    def __init__(self, book: Book, sheet_url: str) -> None:
        self._book = book
        self._sheet_url = sheet_url

    async def metadata(self, request: web.Request) -> Any:
        book = self._of(request)
        located = [_located(book, text) for text in request.query.getall("ranges", [])]
        with_data = request.query.get("includeGridData") == "true"
        return self._spreadsheet(book, request.query.get("fields"), located, with_data)

    async def metadata_by_data_filter(self, request: web.Request) -> Any:
        book, body = self._of(request), await _json_object(request)
        filters = body.get("dataFilters")
        if not isinstance(filters, list) or not filters:
            raise ApiError(400, "Must specify at least one data filter.")
        located = [_filtered(book, item) for item in filters]
        with_data = body.get("includeGridData") is True
        return self._spreadsheet(book, request.query.get("fields"), located, with_data)

    def _spreadsheet(
        self, book: Book, fields: str | None, located: list[tuple[Tab, Box]], with_data: bool
    ) -> Any:
        try:
            mask = field_mask(fields) if fields else {}
        except FieldsError as error:
            raise ApiError(400, str(error)) from None
        wanted = [tab for tab in book.tabs if not located or any(tab is t for t, _ in located)]
        # As documented, `includeGridData` is ignored where there is a mask.
        if fields:
            with_data = "data" in mask.get("sheets", {})
        spreadsheet: dict[str, Any] = {
            "spreadsheetId": book.spreadsheet_id,
            "properties": {"title": book.title, "locale": "en_US", "timeZone": "Etc/GMT"},
            "sheets": [
                {
                    "properties": {
                        "sheetId": tab.gid,
                        "title": tab.title,
                        "index": index,
                        "sheetType": "GRID",
                        "gridProperties": {
                            "rowCount": tab.row_count,
                            "columnCount": tab.column_count,
                        },
                        **({"hidden": True} if tab.hidden else {}),
                    },
                    **merges_of(tab),
                    **(
                        {"data": grid_data(book, tab, [box for t, box in located if t is tab])}
                        if with_data
                        else {}
                    ),
                }
                for index, tab in enumerate(book.tabs)
                if any(tab is other for other in wanted)
            ],
            "spreadsheetUrl": self._sheet_url,
        }
        return masked(spreadsheet, mask)

    async def get(self, request: web.Request) -> Any:
        book = self._of(request)
        tab, area = _located(book, request.match_info["range"])
        return _value_range(book, tab, area, _options(request.query))

    async def batch_get(self, request: web.Request) -> Any:
        book, options = self._of(request), _options(request.query)
        located = [_located(book, text) for text in request.query.getall("ranges", [])]
        return {
            "spreadsheetId": book.spreadsheet_id,
            "valueRanges": [_value_range(book, tab, area, options) for tab, area in located],
        }

    async def batch_get_by_data_filter(self, request: web.Request) -> Any:
        book, body = self._of(request), await _json_object(request)
        options, filters = _options(body), body.get("dataFilters")
        if not isinstance(filters, list) or not filters:
            raise ApiError(400, "Must specify at least one data filter.")
        located = [_filtered(book, item) for item in filters]
        return {
            "spreadsheetId": book.spreadsheet_id,
            "valueRanges": [
                {"valueRange": _value_range(book, tab, area, options), "dataFilters": [item]}
                for (tab, area), item in zip(located, filters, strict=True)
            ],
        }

    async def update(self, request: web.Request) -> Any:
        book, body = self._of(request), await _json_object(request)
        typed = _typed(request.query.get("valueInputOption"))
        body.setdefault("range", request.match_info["range"])
        response = _write(book, [body], typed)[0]
        book.save()
        return response

    async def batch_update(self, request: web.Request) -> Any:
        book, body = self._of(request), await _json_object(request)
        data = body.get("data")
        if not isinstance(data, list):
            raise ApiError(400, "Invalid JSON payload received: data must be a list.")
        return self._updated(book, _write(book, data, _typed(body.get("valueInputOption"))))

    async def batch_update_by_data_filter(self, request: web.Request) -> Any:
        book, body = self._of(request), await _json_object(request)
        data = body.get("data")
        if not isinstance(data, list):
            raise ApiError(400, "Invalid JSON payload received: data must be a list.")
        ranges = [_range_of_filter(book, index, item) for index, item in enumerate(data)]
        responses = _write(book, ranges, _typed(body.get("valueInputOption")))
        for response, item in zip(responses, data, strict=True):
            del response["spreadsheetId"]
            response["dataFilter"] = item["dataFilter"]
        return self._updated(book, responses)

    def _updated(self, book: Book, responses: list[dict[str, Any]]) -> dict[str, Any]:
        book.save()
        tabs = {response["updatedRange"].rpartition("!")[0] for response in responses}
        totals = {
            f"total{key[0].upper()}{key[1:]}": sum(response[key] for response in responses)
            for key in ("updatedRows", "updatedColumns", "updatedCells")
        }
        return {
            "spreadsheetId": book.spreadsheet_id,
            **totals,
            "totalUpdatedSheets": len(tabs),
            "responses": responses,
        }

    def _of(self, request: web.Request) -> Book:
        if request.match_info["id"] != self._book.spreadsheet_id:
            raise ApiError(404, "Requested entity was not found.")
        return self._book


def _located(book: Book, text: str) -> tuple[Tab, Box]:
    try:
        title, area = parse_range(text)
        tab = book.tab_of_title(title)
        if tab is None:
            raise RangeError(f"Unable to parse range: {text}")
        return tab, tab.bounded(area)
    except RangeError as error:
        raise ApiError(400, str(error)) from None


def _filtered(book: Book, item: Any) -> tuple[Tab, Box]:
    if isinstance(item, dict) and isinstance(item.get("a1Range"), str):
        return _located(book, item["a1Range"])
    grid = item.get("gridRange") if isinstance(item, dict) else None
    if not isinstance(grid, dict):
        raise ApiError(400, "Invalid data filter: a1Range or gridRange must be set.")
    gid = int(grid.get("sheetId", 0))
    tab = book.tab_of_gid(gid)
    if tab is None:
        raise ApiError(400, f"Invalid data filter: No grid with id: {gid}")
    area = Area(
        int(grid.get("startRowIndex", 0)),
        int(grid.get("startColumnIndex", 0)),
        grid.get("endRowIndex"),
        grid.get("endColumnIndex"),
    )
    try:
        return tab, tab.bounded(area)
    except RangeError as error:
        raise ApiError(400, str(error)) from None


def _range_of_filter(book: Book, index: int, item: Any) -> dict[str, Any]:
    """A `DataFilterValueRange` as the value range of the cells that its filter matches."""
    if not isinstance(item, dict) or not item.keys() <= {"dataFilter", "majorDimension", "values"}:
        raise ApiError(400, "Invalid JSON payload received.")
    tab, box = _filtered(book, item.get("dataFilter"))
    if item.get("majorDimension") not in _DIMENSIONS:
        # Google's: with a dimension that is not given only squares fit.
        raise ApiError(
            400,
            f"Invalid dataFilterValueRange[{index}]: dataFilterValueRange.dataFilter matched range "
            f"{format_range(tab.title, box)} whose dimension_unspecified cannot fit the data "
            "described in data.values.",
        )
    values = item.get("values", [])
    by_columns = item["majorDimension"] == "COLUMNS"
    height, width = box.end_row - box.row, box.end_column - box.column
    limits = (width, height) if by_columns else (height, width)
    if isinstance(values, list) and (
        len(values) > limits[0]
        or any(isinstance(line, list) and len(line) > limits[1] for line in values)
    ):
        raise ApiError(
            400,
            f"Invalid dataFilterValueRange[{index}]: dataFilterValueRange.dataFilter matched range "
            f"{format_range(tab.title, box)} whose {item['majorDimension'].lower()} cannot fit the "
            "data described in data.values.",
        )
    return {
        "range": format_range(tab.title, box),
        "majorDimension": item["majorDimension"],
        "values": values,
    }


def _options(query: Mapping[str, Any]) -> tuple[str, bool, str]:
    render = query.get("valueRenderOption", "FORMATTED_VALUE")
    dates = query.get("dateTimeRenderOption", "SERIAL_NUMBER")
    dimension = query.get("majorDimension", "ROWS")
    known = ((render, _RENDER_OPTIONS), (dates, _DATE_OPTIONS), (dimension, _DIMENSIONS))
    for value, options in known:
        if value not in options:
            raise ApiError(400, f"Invalid value: {value!r} is none of {', '.join(options)}")
    return render, dates == "FORMATTED_STRING", dimension


def _value_range(book: Book, tab: Tab, box: Box, options: tuple[str, bool, str]) -> dict[str, Any]:
    render, dates_as_text, dimension = options
    by_columns = dimension == "COLUMNS"
    seen = formulas.shown(book, tab)
    if render == "FORMULA":
        # Google does not say what it gives for the cells that an array fills: both are tried.
        rows = seen.rows if book.spilled_as_values else tab.rows
        rows = _with_formulas(rows, tab)
    else:
        rows = seen.rows
    cells = tab.read(box, by_columns=by_columns, rows=rows)
    values = [
        [rendered(cell, render, dates_as_text=dates_as_text) for cell in row] for row in cells
    ]
    value_range = {"range": format_range(tab.title, box), "majorDimension": dimension}
    return {**value_range, "values": values} if values else value_range


def _with_formulas(rows: list[list[Cell]], tab: Tab) -> list[list[Cell]]:
    if rows is tab.rows:
        return rows
    kept = [list(row) for row in rows]
    for row, cells in enumerate(tab.rows):
        for column, cell in enumerate(cells):
            if isinstance(cell, FormulaCell):
                kept[row][column] = cell
    return kept


def _typed(option: Any) -> bool:
    if option not in ("RAW", "USER_ENTERED"):
        raise ApiError(400, "'valueInputOption' is required but not specified")
    return bool(option == "USER_ENTERED")


def _write(book: Book, data: list[Any], typed: bool) -> list[dict[str, Any]]:
    """Checks everything, then writes everything: a rejected request has changed nothing."""
    checked = [_checked(book, item) for item in data]
    try:
        trial = Tab(0, "")
        for _, _, values in checked:
            trial.write(0, 0, values, typed=typed)
    except CellError as error:
        raise ApiError(400, str(error)) from None
    for tab, box, values in checked:
        for i, line in enumerate(values):
            # Also for a cell that null leaves alone: what a range may hold is asked, not done.
            if any(tab.is_protected(box.row + i, box.column + j) for j in range(len(line))):
                raise ApiError(400, PROTECTED)
    responses = []
    for tab, box, values in checked:
        cells = tab.write(box.row, box.column, values, typed=typed)
        width = max(map(len, values), default=0)
        end_row, end_column = box.row + max(len(values), 1), box.column + max(width, 1)
        written = Box(box.row, box.column, end_row, end_column)
        responses.append(
            {
                "spreadsheetId": book.spreadsheet_id,
                "updatedRange": format_range(tab.title, written),
                "updatedRows": len(values),
                "updatedColumns": width,
                "updatedCells": cells,
            }
        )
    return responses


def _checked(book: Book, item: Any) -> tuple[Tab, Box, list[list[Any]]]:
    if not isinstance(item, dict) or not isinstance(item.get("range"), str):
        raise ApiError(400, "Invalid data: range must be set.")
    values = item.get("values", [])
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise ApiError(400, "Invalid data: values must be a list of lists.")
    if item.get("majorDimension", "ROWS") == "COLUMNS":
        height = max(map(len, values), default=0)
        values = [[col[i] if i < len(col) else None for col in values] for i in range(height)]
    tab, box = _located(book, item["range"])
    single = (box.end_row, box.end_column) == (box.row + 1, box.column + 1)
    width = max(map(len, values), default=0)
    limit = (tab.row_count, tab.column_count) if single else (box.end_row, box.end_column)
    if box.row + len(values) > limit[0] or box.column + width > limit[1]:
        raise ApiError(
            400,
            f"Requested writing within range [{format_range(tab.title, box)}], but tried "
            f"writing to row [{box.row + len(values)}], column [{box.column + width}]",
        )
    return tab, box, values


async def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise ApiError(400, "Invalid JSON payload received.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "Invalid JSON payload received: not an object.")
    return body
