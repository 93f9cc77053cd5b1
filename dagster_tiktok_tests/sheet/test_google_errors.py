"""Each error of Google is reported with its own cause, and without cells."""

from __future__ import annotations

import json

import pytest
import requests

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.sheet.api.errors import response_error
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.responses import respond
from dagster_tiktok_tests.support.sheets import RunningSheets

CELL = "CELL-TEXT-THAT-IS-NOBODYS-BUSINESS"

# status, what Google says, words of what is told
REFUSALS: list[tuple[int, str, str]] = [
    (403, "The caller does not have permission", "not shared with"),
    (403, "Google Sheets API has not been used in project 1 before or it is disabled.",
     "is not enabled"),
    (403, "Project #123456789012 has been deleted.", "was deleted or suspended"),
    (403, "Permission denied: Consumer 'project_number:1' has been suspended.",
     "was deleted or suspended"),
    (403, "This API method requires billing to be enabled. Please enable billing on project #1 "
     "by visiting https://console.developers.google.com/billing", "billing problem"),
    (403, "Request had insufficient authentication scopes.", "lacks the scope"),
    (403, "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x",
     "a policy of the organization"),
    (403, "Caller does not have required permission to use project x. Grant the caller the "
     "roles/serviceusage.serviceUsageConsumer role", "does not let it use"),
    (403, "You are trying to edit a protected cell or object. Please contact the spreadsheet "
     "owner to remove protection if you need to edit.", "are protected"),
    (403, f'A new reason of Google: "{CELL}"', '(403): "A new reason of Google"'),
    (400, "You are trying to edit a protected cell or object. Please contact the spreadsheet "
     "owner to remove protection if you need to edit.", "are protected"),
    (400, "This operation is not supported for this document", "is an Office document"),
    (400, "The document must not be an Office file.", "is an Office document"),
    (400, "The sheet is protected.", "are protected"),
    (403, "Access Not Configured.", "is not enabled"),
    # An apostrophe inside a word ends no word; one before a value does.
    (403, f"The owner's file is locked: '{CELL}'", '(403): "The owner\'s file is locked"'),
    (400, "No grid with id: 7", "no tab with that gid"),
    (400, f'Invalid value at data.values: "{CELL}"',
     '(400): "Invalid value at data.values"; this will not pass by itself'),
    (400, f"[{CELL}]", "as invalid (400); this will not pass by itself"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "message", "told"), REFUSALS)
def test_each_error_of_google_is_reported_with_its_own_cause(
    sheets: RunningSheets, status: int, message: str, told: str
) -> None:
    """A deleted project, billing, a scope or a policy was reported as a sheet that is not
    shared, and an unknown 400 without a reason.
    """
    body = json.dumps({"error": {"code": status, "message": message}}).encode()
    with (
        ScriptedServer(respond(body, status=status)) as server,
        pytest.raises((ConfigurationError, ServiceUnavailableError)) as raised,
    ):
        sheets.client(google_sheets_api_url=server.url).read()
    assert told in str(raised.value)
    assert CELL not in str(raised.value)
    assert len(server.requests) == 1


QUOTED: list[tuple[int, str, list[str], str]] = [
    # Status, what Google says, the cells that were sent, what is told of it.
    (400, "Invalid value at data", ["This post was deleted"], '(400): "Invalid value at data"; '),
    (400, "Ana Reyes sent me this is not valid", ["Ana Reyes sent me this"], "invalid (400); this"),
    (400, "Invalid text ana reyes sent me", ["X Ana Reyes sent me"], '(400): "Invalid text"; this'),
    # Cut by Google, so that it is only a part of the cell.
    (400, "Invalid text Ana Reyes sen", ["Ana Reyes sent me this"], '(400): "Invalid text"; this'),
    (403, "Secret Agency Tab may not be edited", ["x"], "the request (403); check"),
    # Letters alone may be a token too.
    (400, "Bad header Bearer abcdefghijklmnop", ["x"], '(400): "Bad header Bearer"; this'),
]


@pytest.mark.parametrize(("status", "message", "cells", "told"), QUOTED)
def test_quotes_of_cells_are_cut_from_googles_messages(
    status: int, message: str, cells: list[str], told: str
) -> None:
    """Google's messages may repeat cells and titles of the request, which nobody else may see."""
    body = {"data": [{"range": "'Secret Agency Tab'!A1:B1", "values": [cells]}]}
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps({"error": {"message": message}}).encode()
    response.request = requests.Request("POST", "https://x.example", json=body).prepare()
    error = response_error(response, "robot@example.com", writing=True, rejections=0)
    assert told in str(error)
