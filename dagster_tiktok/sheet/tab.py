"""One tab of a spreadsheet: the requests that read it and write into it, each found by its gid."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.net.retry import TransientError
from dagster_tiktok.sheet.api.errors import TooLargeError, unexpected_format_error
from dagster_tiktok.sheet.api.http import SheetsHTTPClient
from dagster_tiktok.sheet.grid import Grid, parse_grid
from dagster_tiktok.sheet.read import merged_cells
from dagster_tiktok.sheet.read.cell_links import LinkReader
from dagster_tiktok.sheet.read.large_tabs import read_needed_columns
from dagster_tiktok.sheet.urls import SheetUrl

_ALL_CELLS_OF_THE_FIRST_TAB = "A:ZZZ"
_TAB_FIELDS = "sheets.properties(sheetId,index,hidden,sheetType)"
log = logging.getLogger(__name__)


class Tab:
    """The requests about one tab. Each is retried where that is safe, see `api.http`.

    Arguments:
        own_headers: `GOOGLE_SHEET_COLUMNS`.

    Raises, from every call: ConfigurationError, TransientError, ServiceUnavailableError.
    """

    def __init__(
        self, http: SheetsHTTPClient, sheet: SheetUrl, own_headers: Mapping[str, str], email: str
    ) -> None:
        self.client_email = email
        """The account that the spreadsheet has to be shared with."""
        self._http = http
        self._spreadsheet_id = sheet.spreadsheet_id
        self._own_headers = own_headers
        self._gid = sheet.gid
        self._too_large = False
        self._links = LinkReader(self)

    def read(self) -> Grid:
        """The values, with the links under texts where a ready row shows one."""
        return self._links.read(for_ready_rows=True)

    def read_values(self) -> Grid:
        """The values, with the links under the texts of all rows."""
        return self._links.read()

    def read_formulas(self) -> Grid:
        """The tab with formulas as they were typed, in one read request."""
        return self._values("FORMULA")

    def values(self) -> Grid:
        """The values, without the links under texts, in one read request."""
        return self._values("UNFORMATTED_VALUE")

    def with_merges(self, grid: Grid) -> Grid:
        """The grid with its merged cells, where a row may be a part of one: one request.

        A failure is logged, and leaves them unknown.
        """
        if not merged_cells.may_hide_rows(grid):
            return grid
        try:
            response = self.cells((), merged_cells.FIELDS)
            return replace(grid, merges=merged_cells.parse_merges(response, self.gid()))
        except (TransientError, ServiceUnavailableError, ConfigurationError) as error:
            log.warning("sheet: merged cells could not be read: %s", error)
            return grid

    def cells(self, ranges: Sequence[Mapping[str, int]], fields: str) -> Any:
        """One `spreadsheets.getByDataFilter`: what the values leave out.

        Arguments:
            ranges: of this tab; none means all tabs.
        """
        filters = [{"gridRange": self._in_this_tab(item)} for item in ranges]
        return self._http.cells(self._spreadsheet_id, filters, fields)

    def update(self, data: Sequence[dict[str, Any]], *, typed: bool = False) -> None:
        """One `values.batchUpdateByDataFilter` on this tab, whatever its title is by then.

        Arguments:
            data: as `as_ranges` gives it.
            typed: for formulas that are restored.
        """
        # RAW: a text that begins with "=" stays a text.
        option = "USER_ENTERED" if typed else "RAW"
        located = [
            {
                **item,
                "dataFilter": {"gridRange": self._in_this_tab(item["dataFilter"]["gridRange"])},
            }
            for item in data
        ]
        body = {"valueInputOption": option, "data": located}
        self._http.update_values(self._spreadsheet_id, body)

    def gid(self) -> int:
        """The tab's gid. A URL without one means the first tab: Google is asked once which it is.

        From then on every call is about that tab, also when another one is moved to the front.
        """
        if self._gid is None:
            self._gid = _parse_first_tab(self._http.cells(self._spreadsheet_id, (), _TAB_FIELDS))
        return self._gid

    def _values(self, render: str) -> Grid:
        if not self._too_large:
            try:
                grid = self._whole_tab(render)
            except TooLargeError:
                log.warning("sheet: the tab is over the size limit; only needed columns are read")
                self._too_large = True
        if self._too_large:
            grid = read_needed_columns(
                lambda filters: self._request_values(filters, render), self._gid, self._own_headers
            )
        log.info("sheets read rows=%d", len(grid.rows))
        return grid

    def _whole_tab(self, render: str) -> Grid:
        where: dict[str, Any] = (
            {"a1Range": _ALL_CELLS_OF_THE_FIRST_TAB}
            if self._gid is None
            else {"gridRange": {"sheetId": self._gid}}
        )
        response = self._request_values([where], render)
        try:
            grid = parse_grid(response)
        except ValueError:
            raise unexpected_format_error() from None
        return replace(grid, own_headers=self._own_headers)

    def _request_values(self, filters: Sequence[Mapping[str, Any]], render: str) -> Any:
        return self._http.values_by_filter(
            self._spreadsheet_id,
            {
                "dataFilters": list(filters),
                "majorDimension": "ROWS",
                "valueRenderOption": render,
                "dateTimeRenderOption": "SERIAL_NUMBER",
            },
        )

    def _in_this_tab(self, grid_range: Mapping[str, int]) -> dict[str, int]:
        return {"sheetId": self.gid(), **grid_range}


def _parse_first_tab(response: Any) -> int:
    """The id of the first tab that is a grid and not hidden, as `A1` without a title means it."""
    try:
        tabs = [sheet["properties"] for sheet in response["sheets"]]
        shown = [tab for tab in tabs if not tab.get("hidden") and tab.get("sheetType") != "OBJECT"]
        first = min(shown or tabs, key=lambda tab: tab.get("index", 0))
        return int(first.get("sheetId", 0))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise unexpected_format_error() from None
