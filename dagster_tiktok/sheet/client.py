"""The Google Sheet that asks for posts and shows their outcomes: one client for one tab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.net.retry import TransientError
from dagster_tiktok.settings import Settings
from dagster_tiktok.sheet.api.bounded_session import MAX_RESPONSE_SECONDS, MAX_SHEET_BYTES
from dagster_tiktok.sheet.api.http import SheetsHTTPClient
from dagster_tiktok.sheet.api.service_account import ServiceAccountSession
from dagster_tiktok.sheet.check import SheetCheck, check_tab
from dagster_tiktok.sheet.grid import Grid
from dagster_tiktok.sheet.tab import Tab
from dagster_tiktok.sheet.urls import SheetUrl
from dagster_tiktok.sheet.write.error_column import WrittenErrors, no_written_errors
from dagster_tiktok.sheet.write.outcomes import OutcomeWriter, WriteReport
from dagster_tiktok.sheet.write.plan import RowOutcome

__all__ = ["SheetCheck", "SheetClient", "WriteReport"]


class SheetClient:
    """Reads the tab and writes outcomes into it. Blocking; one thread at a time.

    Arguments:
        sheet: which tab, one of `settings.sheets`.
        attempts: how often a call is tried. Seven last a bit longer than Google's quota minute.
        max_wait: seconds between two attempts, at most, where Google does not say.
        max_seconds: how long one response may take.
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
        self._timezone = settings.timezone
        self._attempts = attempts
        self._max_wait = max_wait
        self._account = ServiceAccountSession(
            settings.google_sheets_credentials.get_secret_value(),
            max_seconds=max_seconds,
            max_bytes=max_bytes,
        )
        http = SheetsHTTPClient(
            self._account, settings.google_sheets_api_url, attempts=attempts, max_wait=max_wait
        )
        self._tab = Tab(http, sheet, settings.google_sheet_columns, self._account.email)

    def __enter__(self) -> SheetClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._account.close()

    @property
    def client_email(self) -> str:
        """The account that the spreadsheet has to be shared with."""
        return self._account.email

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
        with _retries_exhausted():
            grid = self._tab.read()
            return self._tab.with_merges(grid) if merges else grid

    def write_outcomes(
        self, outcomes: Iterable[RowOutcome], written_before: WrittenErrors = no_written_errors
    ) -> WriteReport:
        """Finds the rows again, writes their outcomes, checks them, and corrects them once.

        Three reads (the formulas, the values, the check) and one write, one more write if
        something has to be corrected, and more where cells are protected; no request at all for
        no outcomes. A write whose response was lost is repeated only for what did not arrive.

        Arguments:
            written_before: tells which texts under `Error` the pipeline wrote; any other text
                there, and the column is left alone.

        Raises: as `read`; ConfigurationError also where a formula fills the column `Status`.
        """
        outcomes = list(outcomes)
        if not outcomes:
            return WriteReport()
        writer = OutcomeWriter(
            self._tab,
            self._timezone,
            attempts=self._attempts,
            max_wait=self._max_wait,
            written_before=written_before,
        )
        with _retries_exhausted():
            self._tab.gid()
            return writer.write(outcomes)

    def check(self, written_before: WrittenErrors | None = None) -> SheetCheck:
        """Reads the tab and tries, without changing a cell, whether it may be written.

        Arguments:
            written_before: as in `write_outcomes`; without it the column `Error` is not judged.

        Raises: as `read`; ConfigurationError also for a missing header or missing rights.
        """
        with _retries_exhausted():
            return check_tab(self._tab, self._timezone, written_before)


@contextmanager
def _retries_exhausted() -> Iterator[None]:
    """Turns an error that may pass into one that ends the stage: every retry was used."""
    try:
        yield
    except TransientError as error:
        raise ServiceUnavailableError(f"{error}, also after all retries.") from None
