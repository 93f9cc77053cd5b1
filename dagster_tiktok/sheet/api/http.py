"""Every request to Google Sheets: gspread's HTTP client with limits, retries and log lines.

Reads are repeated here. Writes are sent once: a write is repeated by reading the tab again and
planning again (`OutcomeWriter`), because rows may have moved meanwhile.
"""

from __future__ import annotations

import json as json_module
import logging
import time
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import gspread
import requests
from google.auth.exceptions import GoogleAuthError
from gspread.http_client import FileType, ParamsType
from gspread.urls import (
    SPREADSHEET_URL,
    SPREADSHEETS_API_V4_BASE_URL,
)

from dagster_tiktok.net.retry import retrying
from dagster_tiktok.sheet.api import errors
from dagster_tiktok.sheet.api.errors import UnreachableError
from dagster_tiktok.sheet.api.quota import limiter
from dagster_tiktok.sheet.api.service_account import ServiceAccountSession

TIMEOUT_SECONDS = (5.0, 30.0)
"""To connect, and between two pieces of a response. gspread itself has no timeout."""

_UNREACHABLE_ATTEMPTS = 3
_BY_FILTER = SPREADSHEET_URL + "/values:batchGetByDataFilter"
_UPDATE_BY_FILTER = SPREADSHEET_URL + "/values:batchUpdateByDataFilter"
_CELLS_BY_FILTER = SPREADSHEET_URL + ":getByDataFilter"
_READING = ("/values:batchGetByDataFilter", ":getByDataFilter")

_EVERY_DIGIT_AS_0 = bytes.maketrans(b"123456789", b"0" * 9)
_MAX_DIGITS = 308
"""A whole number of so many digits is a double for certain, as all numbers in Sheets are."""

log = logging.getLogger(__name__)


class SheetsHTTPClient(gspread.HTTPClient):
    """gspread's client for one API URL and one service account.

    Raises, from every call: ConfigurationError for what the operator must change, TransientError
    for what was tried `attempts` times, ServiceUnavailableError for an unexpected response.
    """

    def __init__(
        self, access: ServiceAccountSession, api_url: str, *, attempts: int, max_wait: float
    ) -> None:
        super().__init__(None, access.session)  # type: ignore[arg-type]
        self.set_timeout(TIMEOUT_SECONDS)
        self._access = access
        self._api_url = api_url
        self._attempts = attempts
        self._max_wait = max_wait
        self._reads = limiter(api_url, access.email, "read")
        self._writes = limiter(api_url, access.email, "write")
        self._written_back = False
        self._rejections = 0

    def values_by_filter(self, spreadsheet_id: str, body: Mapping[str, Any]) -> Any:
        """https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets.values/batchGetByDataFilter

        Finds a tab by its gid, so one request reads it whatever its title is now.
        """
        return _parsed(self.request("post", _BY_FILTER % spreadsheet_id, json=body))

    def cells(self, spreadsheet_id: str, filters: Sequence[Mapping[str, Any]], fields: str) -> Any:
        """What the values leave out. `fields` says what of it; without filters of all tabs.

        https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets/getByDataFilter
        """
        params: ParamsType = {"fields": fields}
        if not filters:
            return _parsed(self.request("get", SPREADSHEET_URL % spreadsheet_id, params=params))
        body = {"dataFilters": list(filters)}
        url = _CELLS_BY_FILTER % spreadsheet_id
        return _parsed(self.request("post", url, params=params, json=body))

    def update_values(self, spreadsheet_id: str, body: Mapping[str, Any]) -> None:
        """https://developers.google.com/sheets/api/reference/rest/v4/spreadsheets.values/batchUpdateByDataFilter

        The tab is found by its id: by its title another one could be hit, which took the title
        over since it was read. What the response holds is ignored: only reading the tab
        tells where the cells went.
        """
        self.request("post", _UPDATE_BY_FILTER % spreadsheet_id, json=body)

    def request(  # noqa: PLR0917  # the signature is gspread's
        self,
        method: str,
        endpoint: str,
        params: ParamsType | None = None,
        data: bytes | None = None,
        json: Mapping[str, Any] | None = None,
        files: FileType = None,
        headers: MutableMapping[str, str] | None = None,
    ) -> requests.Response:
        """gspread's one request function. Reads are retried; a write is sent once.

        A write raises ResponseLostError where it may have been applied, else TransientError.
        """
        url = endpoint.replace(SPREADSHEETS_API_V4_BASE_URL, f"{self._api_url}/v4/spreadsheets", 1)
        writing = method.lower() != "get" and not endpoint.endswith(_READING)
        attempt = 0

        def once() -> requests.Response:
            nonlocal attempt
            attempt += 1
            (self._writes if writing else self._reads).wait()
            started = time.perf_counter()
            response: requests.Response | None = None
            try:
                # Not gspread's own error, which trusts the form of the response.
                response = self.session.request(
                    method=method,
                    url=url,
                    params=params,
                    data=data,
                    json=json,
                    files=files,
                    headers=headers,
                    timeout=self.timeout,
                )
            except (requests.RequestException, GoogleAuthError) as error:
                # `from None` here and below: the errors' own text repeats URLs and responses.
                raise self._failure(error, attempt) from None
            finally:
                _log_call(method, endpoint, response, time.perf_counter() - started, attempt)
            if response.status_code != requests.codes.ok:
                failure = errors.response_error(
                    response, self._access.email, writing=writing, rejections=self._rejections
                )
                self._rejections += response.status_code == requests.codes.too_many
                raise failure
            self._written_back, self._rejections = True, 0
            if "json" not in response.headers.get("Content-Type", ""):
                raise errors.not_json_error()
            return response

        return once() if writing else retrying(self._attempts, self._max_wait)(once)

    def _failure(self, error: Exception, attempt: int) -> Exception:
        failure = errors.request_error(error, self._api_url, self._access.token_uri)
        # A host that never responded is a wrong setting; one that did will come back.
        tries = min(self._attempts, _UNREACHABLE_ATTEMPTS)
        if isinstance(failure, UnreachableError) and not self._written_back and attempt >= tries:
            return errors.unreachable_error(failure)
        return failure


def _parsed(response: requests.Response) -> Any:
    try:
        return _data(response.content)
    except ValueError:
        raise errors.not_json_error() from None
    except (RecursionError, OverflowError):
        raise errors.unexpected_format_error() from None


def _data(content: bytes) -> Any:
    """The JSON. Raises ValueError, RecursionError, OverflowError for a number beyond doubles."""
    # Parsing each number costs as much as all the rest; hardly any sheet has one this long.
    long = b"0" * (_MAX_DIGITS + 1) in content.translate(_EVERY_DIGIT_AS_0)
    return json_module.loads(content, parse_int=_whole_number if long else None)


def _whole_number(text: str) -> int:
    return int(text) if len(text) <= _MAX_DIGITS else int(float(text))


def _log_call(
    method: str, endpoint: str, response: requests.Response | None, seconds: float, attempt: int
) -> None:
    call = endpoint.rpartition("/")[2].partition("?")[0]
    log.info(
        "sheets call=%s:%s status=%s bytes=%d seconds=%.3f attempt=%d",
        method.lower(),
        call if call.startswith("values:") else "spreadsheet",
        "none" if response is None else response.status_code,
        0 if response is None else len(response.content),
        seconds,
        attempt,
    )
