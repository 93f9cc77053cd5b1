"""Responses that Google does not give: each ends in one message, soon, and within little memory."""

from __future__ import annotations

import gzip
import itertools
import json
import traceback
from typing import Any

import pytest
from aiohttp import web

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.sheet.api.bounded_session import MAX_SHEET_BYTES
from dagster_tiktok.sheet.client import SheetClient
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.outcomes import scraped
from dagster_tiktok_tests.support.responses import dripping, respond
from dagster_tiktok_tests.support.sheets import RunningSheets

pytestmark = pytest.mark.slow

UNKNOWN = "Google Sheets returned data in an unexpected format."
GZIP = {"Content-Encoding": "gzip"}


def of_values(values: str, range_: str = '"Posts!A1:O9"') -> bytes:
    found = f'{{"range": {range_}, "values": {values}}}'
    return f'{{"valueRanges": [{{"valueRange": {found}}}]}}'.encode()


def with_token_uri(sheets: RunningSheets, uri: str) -> dict[str, Any]:
    info = sheets.server.service_account_info() | {"token_uri": uri}
    return {"google_sheets_credentials": json.dumps(info)}


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"valueRanges": null}',
        b'{"valueRanges": [[]]}',
        b'{"valueRanges": [{"valueRange": "x"}]}',
        of_values("null"),
        of_values("7"),
        of_values('"x"'),
        of_values("{}"),
        of_values("[null]"),
        of_values("[[], 7]"),
        of_values('[["x", {}]]'),
        of_values('[["x", []]]'),
        of_values(f"[[{10**309}]]"),
        of_values(f"[[-{10**400}]]"),
        of_values(f"[[{'7' * 5000}]]"),
        of_values("[]", range_="7"),
        of_values("[]", range_="null"),
        of_values("[]", range_='"Posts"'),
        of_values("[" * 100_000 + "]" * 100_000),
    ],
    ids=lambda body: body[-60:].decode(),
)
def test_a_response_of_another_form_is_an_error_and_no_empty_sheet(
    sheets: RunningSheets, body: bytes
) -> None:
    with ScriptedServer(respond(body)) as server:
        client = sheets.client(google_sheets_api_url=server.url)
        with pytest.raises(ServiceUnavailableError) as raised:
            client.read()
    assert str(raised.value) == UNKNOWN
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize(
    "body", [b"[]", b'{"error": 7}', b'{"error": {}}', b'{"error": {"message": []}}', b"[" * 99_999]
)
def test_an_error_response_of_another_form_raises_one_of_our_errors(
    sheets: RunningSheets, status: int, body: bytes
) -> None:
    with ScriptedServer(respond(body, status=status)) as server:
        client = sheets.client(google_sheets_api_url=server.url)
        with pytest.raises((ServiceUnavailableError, ConfigurationError)):
            client.read()


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "7",
        "{}",
        '{"access_token": 7}',
        '{"access_token": "t", "expires_in": "soon"}',
        '{"access_token": "t", "expires_in": []}',
        '{"access_token": "t", "expires_in": 1e400}',
        '{"access_token": "t", "expires_in": 99999999999999999999}',
        '{"access_token": "two\\nlines"}',
        '{"access_token": "\\u20ac"}',
        "[" * 50_000,
        "\x80",
    ],
)
def test_the_credentials_are_named_when_the_token_response_has_another_form(
    sheets: RunningSheets, status: int, body: str
) -> None:
    with ScriptedServer(respond(body.encode("latin-1"), status=status)) as server:
        client = sheets.client(**with_token_uri(sheets, f"{server.url}/token"))
        with pytest.raises(ConfigurationError, match=r"^GOOGLE_SHEETS_CREDENTIALS: Google rej"):
            client.read()
    assert sheets.counts()["read"] == 0


def test_a_response_that_unpacks_to_too_much_is_not_accepted(
    sheets: RunningSheets,
) -> None:
    body = gzip.compress(b" " * (MAX_SHEET_BYTES + 1))
    assert len(body) < 100_000
    with ScriptedServer(respond(body, headers=GZIP)) as server:
        client = sheets.client(google_sheets_api_url=server.url)
        with pytest.raises(ServiceUnavailableError, match=r"returned more than 67,108,864 bytes"):
            client.read()
        client = sheets.client(**with_token_uri(sheets, server.url))
        with pytest.raises(ServiceUnavailableError, match=r"token endpoint returned more than"):
            client.read()
    # The tab, then its top rows alone, then the token.
    assert len(server.requests) == 3


def test_a_compressed_response_is_unpacked(sheets: RunningSheets) -> None:
    body = gzip.compress(of_values('[["x", 1]]'))
    with ScriptedServer(respond(body, headers=GZIP)) as server:
        assert sheets.client(google_sheets_api_url=server.url).read().rows == [["x", 1]]


@pytest.mark.parametrize("endpoint", ["sheet", "token"])
def test_waiting_for_a_dripping_response_ends(sheets: RunningSheets, endpoint: str) -> None:
    with ScriptedServer(dripping(itertools.repeat(b" "), 0.1)) as server:
        changes = (
            {"google_sheets_api_url": server.url}
            if endpoint == "sheet"
            else with_token_uri(sheets, server.url)
        )
        settings = sheets.settings(**changes)
        # Nothing but the client ends it.
        with (
            SheetClient(settings, settings.sheets[0], max_seconds=0.5) as client,
            pytest.raises(ServiceUnavailableError, match=r"responded too slowly: .* 0.5 seconds"),
        ):
            client.read()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("endpoint", ["sheet", "token"])
def test_redirects_are_not_followed(sheets: RunningSheets, endpoint: str, status: int) -> None:
    with (
        ScriptedServer(respond(b"{}")) as other,
        ScriptedServer(respond(status=status, headers={"Location": f"{other.url}/x"})) as server,
    ):
        changes = (
            {"google_sheets_api_url": server.url}
            if endpoint == "sheet"
            else with_token_uri(sheets, server.url)
        )
        with pytest.raises(
            ServiceUnavailableError, match=rf"returned {status}, which is not expected"
        ):
            sheets.client(**changes).read()
    assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize("status", [201, 204, 300, 304])
def test_the_error_names_an_unexpected_success_status(sheets: RunningSheets, status: int) -> None:
    with (
        ScriptedServer(respond(status=status)) as server,
        pytest.raises(ServiceUnavailableError, match=rf"returned {status}, which is not expected"),
    ):
        sheets.client(google_sheets_api_url=server.url).read()


def test_only_host_and_port_of_an_unreachable_token_uri_are_shown(
    sheets: RunningSheets,
) -> None:
    with ScriptedServer() as server:
        place = server.url.removeprefix("http://")
    client = sheets.client(**with_token_uri(sheets, f"http://user:SECRET@{place}/token"))
    with pytest.raises(ConfigurationError, match=f" {place} cannot be reached") as raised:
        client.read()
    told = "".join(traceback.format_exception(raised.value))
    assert "SECRET" not in told
    assert "user" not in str(raised.value)


def test_the_tab_shows_whether_a_write_with_a_nonsense_response_was_applied(
    sheets: RunningSheets,
) -> None:
    grid = sheets.client().read()
    values = of_values(json.dumps(grid.rows))

    async def nonsense_to_writes(request: web.Request) -> web.StreamResponse:
        return await respond(b"{" if "batchUpdate" in request.path else values)(request)

    with ScriptedServer(nonsense_to_writes) as server:
        report = sheets.client(google_sheets_api_url=server.url).write_outcomes([scraped(2)])
    # That tab never takes anything on, so the second reading asks for the same cells again.
    assert 0 < report.corrected < report.cells
    assert [path.rpartition(":")[2] for path in server.paths] == [
        "batchGetByDataFilter",
        "batchGetByDataFilter",
        "batchUpdateByDataFilter",
        "batchGetByDataFilter",
        "batchUpdateByDataFilter",
    ]
