"""The Google Sheet that asks for posts and gets their outcomes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.net.retry import TransientError
from dagster_tiktok.settings import Settings
from dagster_tiktok.sheet.api.bounded_session import MAX_RESPONSE_SECONDS, MAX_SHEET_BYTES
from dagster_tiktok.sheet.api.errors import TooLargeError, unexpected_format_error
from dagster_tiktok.sheet.api.http import SheetsHTTPClient
from dagster_tiktok.sheet.api.service_account import ServiceAccountSession
from dagster_tiktok.sheet.grid import Grid, cell_at, column_name, parse_grid
from dagster_tiktok.sheet.read import merged_cells
from dagster_tiktok.sheet.read.cell_links import FIELDS as LINK_FIELDS
from dagster_tiktok.sheet.read.cell_links import LinkReader, parse_links
from dagster_tiktok.sheet.read.headers import normalize_header
from dagster_tiktok.sheet.read.large_tabs import read_needed_columns
from dagster_tiktok.sheet.read.layout import WRITTEN_IF_PRESENT, Layout, find_layout
from dagster_tiktok.sheet.read.mismatched_links import find_mismatched_links, link_ranges
from dagster_tiktok.sheet.read.rows import READY, parse_status, read_rows
from dagster_tiktok.sheet.urls import SheetUrl
from dagster_tiktok.sheet.write.computed_cells import exclude_computed, planned_cells
from dagster_tiktok.sheet.write.consistent_read import read_computed
from dagster_tiktok.sheet.write.error_column import (
    ERROR,
    WrittenErrors,
    find_foreign_error,
    no_written_errors,
)
from dagster_tiktok.sheet.write.outcomes import Answer, Answered
from dagster_tiktok.sheet.write.plan import (
    Conflict,
    RowOutcome,
    WritePlan,
    plan_probe,
    rows_by_key,
)
from dagster_tiktok.sheet.write.protected_cells import ProtectedCells, find_protected_cells

_EVERYTHING_OF_THE_FIRST_TAB = "A:ZZZ"
_TABS = "sheets.properties(sheetId,index,hidden,sheetType)"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WriteReport:
    """What became of outcomes, by source key.

    A key that stands in `conflicts` and in `written` was answered in some of its rows only.
    """

    written: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    cells: int = 0
    corrected: int = 0
    """Cells that had to be written again, or got back what they held, after the check."""
    warnings: tuple[str, ...] = ()
    """Columns that were left alone: formulas compute them, or they hold what people wrote."""


@dataclass(frozen=True)
class SheetCheck:
    """What `doctor` shows of a sheet that can be used."""

    tab: str
    client_email: str
    header_row: int
    written_columns: tuple[str, ...]
    missing_columns: tuple[str, ...]
    """Columns that would be written if the tab had them."""
    renamed_headers: Mapping[str, str]
    """The headers of those columns that the tab calls otherwise, by column."""
    protected: tuple[str, ...]
    """Cells of rows that wait that may not be written, the first few."""
    can_write: bool
    """Whether `Status` may be written in at least one of the rows that were tried."""
    filled_rows: int
    ready_rows: int
    warnings: tuple[str, ...]


class SheetClient:
    """Reads the tab and writes outcomes into it. Blocking; one thread at a time.

    Arguments:
        sheet: which tab, one of `settings.sheets`.
        attempts: how often a call is tried. Seven last a bit longer than Google's quota minute.
        max_wait: seconds between two attempts, at most, where Google does not say.
        max_seconds: how long one answer may take.
        max_bytes: of one response. A larger tab is read by the columns that are needed.

    Raises, from the constructor on: ConfigurationError naming the variable and what to do.
    """

    def __init__(
        self,
        settings: Settings,
        sheet: SheetUrl,
        *,
        attempts: int = 7,
        max_wait: float = 20.0,
        max_seconds: float = MAX_RESPONSE_SECONDS,
        max_bytes: int = MAX_SHEET_BYTES,
    ) -> None:
        self.sheet = sheet
        self._settings = settings
        self._gid = sheet.gid
        self._too_large = False
        self._attempts = attempts
        self._max_wait = max_wait
        self._access = ServiceAccountSession(
            settings.google_sheets_credentials.get_secret_value(),
            max_seconds=max_seconds,
            max_bytes=max_bytes,
        )
        self._http = SheetsHTTPClient(
            self._access, settings.google_sheets_api_url, attempts=attempts, max_wait=max_wait
        )
        self._links = LinkReader(self)

    def __enter__(self) -> SheetClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._access.close()

    @property
    def client_email(self) -> str:
        """The address that the spreadsheet has to be shared with."""
        return self._access.email

    def read(self, *, merges: bool = False) -> Grid:
        """The whole tab, in one read request. Dates come as serial numbers.

        Where ready rows show a text over a link, two requests more: see `LinkReader`.

        Arguments:
            merges: ask for the merged cells too, one request more, where a row without a status
                or a link may be a part of one. A failure is logged, and leaves them unknown.

        Raises:
            ConfigurationError: no access, no such tab, no such host.
            ServiceUnavailableError: after all retries.
        """
        with _service_errors():
            grid = self._links.read(for_ready_rows=True)
        return self._with_merges(grid) if merges else grid

    def _with_merges(self, grid: Grid) -> Grid:
        """The grid with its merged cells, where a row may be a part of one: one request."""
        if not merged_cells.may_hide_rows(grid):
            return grid
        try:
            with _service_errors():
                answer = self.cells((), merged_cells.FIELDS)
            return replace(grid, merges=merged_cells.parse_merges(answer, self._tab_id()))
        except (ServiceUnavailableError, ConfigurationError) as error:
            log.warning("sheet: merged cells could not be read: %s", error)
            return grid

    def write_outcomes(
        self, outcomes: Iterable[RowOutcome], written_before: WrittenErrors = no_written_errors
    ) -> WriteReport:
        """Finds the rows again, writes their outcomes, checks them, and repairs once.

        Three reads (the formulas, the values, the check) and one write, one more write if
        something has to be repaired, and more where cells are protected; no request at all for no
        outcomes. A write whose response was lost is repeated only for what did not arrive.

        Arguments:
            written_before: tells which texts under `Error` are the pipeline's; any other text
                there, and the column is left alone.

        Raises: as `read`; ConfigurationError also where a formula fills the column `Status`.
        """
        outcomes = list(outcomes)
        if not outcomes:
            return WriteReport()
        answer = Answer(
            self,
            self._settings.timezone,
            attempts=self._attempts,
            max_wait=self._max_wait,
            written_before=written_before,
        )
        with _service_errors():
            self._tab_id()
            return _report(answer.write(outcomes))

    def check(self, written_before: WrittenErrors | None = None) -> SheetCheck:
        """Reads the tab and tries, without changing a cell, whether it may be written.

        Arguments:
            written_before: as in `write_outcomes`; without it the column `Error` is not judged.

        Raises: as `read`; ConfigurationError also for a missing header or missing rights.
        """
        with _service_errors():
            self._tab_id()
            grid, computed = read_computed(self, lambda grid: planned_cells(_probe(grid)))
            layout = find_layout(grid)
            rows = read_rows(self._with_merges(grid), layout, self._settings.timezone)
            theirs = written_before and find_foreign_error(grid, layout, (), written_before)
            # Also where no row waits: the next one would meet the same.
            guarded = exclude_computed(_probe(grid), computed)
            tried = guarded.plan
            if not rows.ready:
                tried = exclude_computed(plan_probe(grid, layout, ()), computed).plan
            linked = self._other_links(grid, layout)
            protection = find_protected_cells(self.update, tried.cells(), layout["Status"])
        return SheetCheck(
            tab=grid.title,
            client_email=self.client_email,
            header_row=layout.header_row,
            written_columns=(
                "Status",
                *(
                    name
                    for name in WRITTEN_IF_PRESENT
                    if name in layout and not (theirs and name == ERROR)
                ),
            ),
            missing_columns=tuple(
                name
                for name in WRITTEN_IF_PRESENT
                if name not in layout and name not in layout.left_alone
            ),
            renamed_headers={
                name: header
                for name, header in layout.headers.items()
                if normalize_header(header) != normalize_header(name)
            },
            protected=self._protected(protection, layout),
            can_write=protection.any_row or not protection.cells,
            filled_rows=rows.filled_rows,
            ready_rows=rows.ready_rows,
            warnings=(
                *(conflict.text for conflict in guarded.plan.conflicts),
                *guarded.warnings,
                *([theirs] if theirs else []),
                *linked,
                *map(str, rows.warnings),
            ),
        )

    def _other_links(self, grid: Grid, layout: Layout) -> list[str]:
        """What is told of the cells of rows that wait that show one post and link to another."""
        status = layout["Status"]
        rows = range(layout.header_row + 1, len(grid.rows) + 1)
        ready = [row for row in rows if parse_status(cell_at(grid.row(row), status)) == READY]
        if not ready:
            return []
        answer = self.cells(link_ranges(layout, ready), LINK_FIELDS)
        return find_mismatched_links(grid, layout, ready, parse_links(answer, layout["Post URL"]))

    def _protected(self, protection: ProtectedCells, layout: Layout) -> tuple[str, ...]:
        names = {at: name for name, at in layout.columns.items()}
        told = [
            f"the cell {column_name(cell.column)}{cell.row_number} (row {cell.row_number}, column "
            f'"{names[cell.column]}") is protected; allow {self.client_email} to edit it (Data > '
            "Protect sheets and ranges)"
            for cell in protection.cells
        ]
        if not protection.complete:
            told.append("more cells may be protected: not all were tried")
        return tuple(told)

    def read_values(self) -> Grid:
        """As `read`, also for rows that do not wait, for those that turn a TransientError into
        their own."""
        return self._links.read()

    def values(self) -> Grid:
        """The tab as it reads, without the links under texts, in one read request."""
        return self._values("UNFORMATTED_VALUE")

    def cells(self, ranges: Sequence[Mapping[str, int]], fields: str) -> Any:
        """One `spreadsheets.getByDataFilter`: what the values leave out.

        Arguments:
            ranges: of this tab; none means all tabs.
        """
        filters = [{"gridRange": self._of_the_tab(item)} for item in ranges]
        return self._http.cells(self.sheet.spreadsheet_id, filters, fields)

    def read_formulas(self) -> Grid:
        """The tab with formulas as people typed them, in one read request."""
        return self._values("FORMULA")

    def _values(self, render: str) -> Grid:
        if not self._too_large:
            try:
                grid = self._whole_tab(render)
            except TooLargeError:
                log.warning("sheet: the tab is over the size limit; only needed columns are read")
                self._too_large = True
        if self._too_large:
            grid = read_needed_columns(
                lambda filters: self._ask(filters, render),
                self._gid,
                self._settings.google_sheet_columns,
            )
        log.info("sheets read rows=%d", len(grid.rows))
        return grid

    def _whole_tab(self, render: str) -> Grid:
        where: dict[str, Any] = (
            {"a1Range": _EVERYTHING_OF_THE_FIRST_TAB}
            if self._gid is None
            else {"gridRange": {"sheetId": self._gid}}
        )
        answer = self._ask([where], render)
        try:
            grid = parse_grid(answer)
        except ValueError:
            raise unexpected_format_error() from None
        return replace(grid, own_headers=self._settings.google_sheet_columns)

    def _ask(self, filters: Sequence[Mapping[str, Any]], render: str) -> Any:
        return self._http.values_by_filter(
            self.sheet.spreadsheet_id,
            {
                "dataFilters": list(filters),
                "majorDimension": "ROWS",
                "valueRenderOption": render,
                "dateTimeRenderOption": "SERIAL_NUMBER",
            },
        )

    def update(self, data: Sequence[dict[str, Any]], *, typed: bool = False) -> None:
        """One `values.batchUpdateByDataFilter` on this tab, whatever its title is by then.

        Arguments:
            data: as `as_ranges` gives it.
            typed: for formulas of people's own that are put back.
        """
        # RAW: a text that begins with "=" stays a text.
        option = "USER_ENTERED" if typed else "RAW"
        located = [
            {**item, "dataFilter": {"gridRange": self._of_the_tab(item["dataFilter"]["gridRange"])}}
            for item in data
        ]
        body = {"valueInputOption": option, "data": located}
        self._http.update_values(self.sheet.spreadsheet_id, body)

    def _of_the_tab(self, grid_range: Mapping[str, int]) -> dict[str, int]:
        return {"sheetId": self._tab_id(), **grid_range}

    def _tab_id(self) -> int:
        """The tab's gid. A URL without one means the first tab: which that is, is asked once.

        From then on every call is about that tab, also when people put another one in front.
        """
        if self._gid is None:
            answer = self._http.cells(self.sheet.spreadsheet_id, (), _TABS)
            self._gid = _first_tab(answer)
        return self._gid


def _first_tab(answer: Any) -> int:
    """The id of the first tab that is a grid and not hidden, as `A1` without a title means it."""
    try:
        tabs = [sheet["properties"] for sheet in answer["sheets"]]
        shown = [tab for tab in tabs if not tab.get("hidden") and tab.get("sheetType") != "OBJECT"]
        first = min(shown or tabs, key=lambda tab: tab.get("index", 0))
        return int(first.get("sheetId", 0))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise unexpected_format_error() from None


def _probe(grid: Grid) -> WritePlan:
    """What a run would write into the rows that wait; without one, into all that hold a link."""
    layout = find_layout(grid)
    keyed = [number for key, rows in rows_by_key(grid, layout).items() if key for number in rows]
    status = layout["Status"]
    ready = [row for row in keyed if parse_status(cell_at(grid.row(row), status)) == READY]
    return plan_probe(grid, layout, sorted(ready or keyed))


def _report(answered: Answered) -> WriteReport:
    first, conflicts = answered.first, answered.conflicts
    ordered = sorted(conflicts, key=lambda conflict: (conflict.source_key, conflict.text))
    in_conflict = {conflict.source_key for conflict in conflicts if not conflict.written}
    keys = dict.fromkeys(write.source_key for write in first.writes)
    written = tuple(key for key in keys if key not in in_conflict)
    log.info(
        "sheets answered written=%d already=%d conflicts=%d cells=%d repaired=%d",
        len(written),
        len(first.already),
        len(ordered),
        answered.cells,
        answered.repaired,
    )
    for warning in answered.warnings:
        log.warning("sheet: %s", warning)
    return WriteReport(
        written,
        first.already,
        tuple(ordered),
        answered.cells,
        answered.repaired,
        answered.warnings,
    )


@contextmanager
def _service_errors() -> Iterator[None]:
    try:
        yield
    except TransientError as error:
        raise ServiceUnavailableError(f"{error}, also after all retries.") from None
