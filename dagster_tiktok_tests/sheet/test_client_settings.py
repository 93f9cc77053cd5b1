"""A wrong setting ends in one message that names it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.sheet import SheetResource
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"role": "none"}, ["GOOGLE_SHEET_URL", "share it with", "gserviceaccount.com"]),
        ({"id": "x"}, ["GOOGLE_SHEET_URL", "no such spreadsheet"]),
        ({"gid": "999"}, ["GOOGLE_SHEET_URL", "no tab with that gid"]),
        ({"port": True}, ["GOOGLE_SHEETS_API_URL", "cannot be reached"]),
        ({"host": True}, ["GOOGLE_SHEETS_API_URL", "cannot be reached"]),
        ({"token_uri": True}, ["GOOGLE_SHEETS_API_URL", "token_uri", "cannot be reached"]),
        ({"email": "other@example.com"}, ["GOOGLE_SHEETS_CREDENTIALS", "(invalid_grant)"]),
    ],
)
def test_one_message_names_a_wrong_setting_and_its_fix(
    sheets: RunningSheets, change: dict[str, Any], words: list[str]
) -> None:
    info = sheets.server.service_account_info()
    url, api = sheets.server.sheet_url, sheets.server.url
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        if "role" in change:
            sheets.control("POST", "access", change)
        if "id" in change:
            url = url.replace(sheets.server.spreadsheet_id, "1notThisSpreadsheet")
        if "gid" in change:
            url = url.partition("#")[0] + "#gid=999"
        if "port" in change:
            api = nobody
        if "host" in change:
            api = "http://sheets.invalid"
        if "token_uri" in change:
            info |= {"token_uri": f"{nobody}/token"}
        if "email" in change:
            info |= {"client_email": change["email"]}
        client = sheets.client(
            google_sheet_url=url,
            google_sheets_api_url=api,
            google_sheets_credentials=json.dumps(info),
        )
        with pytest.raises(ConfigurationError) as raised:
            client.read()
    assert [word for word in words if word not in str(raised.value)] == []


def test_a_host_that_responded_before_is_not_reported_as_a_wrong_setting() -> None:
    with RunningSheets([HEADER]) as sheets:
        client = sheets.client(attempts=2)
        client.read()
    with pytest.raises(ServiceUnavailableError, match="cannot be reached"):
        client.read()


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        ("missing.json", "names a file that does not exist (missing.json)"),
        ("{", "is not JSON"),
        ('{"type": "authorized_user"}', "is not the JSON of a service account"),
        ('{"installed": {}}', "a client secret for signing in by hand"),
        ('{"type": "service_account"}', "lacks client_email, private_key, token_uri"),
        ('"private_key": "SECRET"}', "names a file that does not exist:"),
        ("~/missing", "names a file that does not exist (~/missing)"),
        ("~no.such.user/key.json", "names the home folder of a user that does not exist"),
        ("MIIEvQSECRETBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC", "does not exist:"),
        ("/QSECRETBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC", "does not exist:"),
        ("SECRETMISSING", "does not exist:"),
        ("./SECRET\x1b[31m", "does not exist:"),
    ],
)
def test_unusable_credentials_are_reported_by_variable_without_their_content(
    sheets: RunningSheets, credentials: str, words: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        sheets.client(google_sheets_credentials=credentials)
    assert str(raised.value).startswith("GOOGLE_SHEETS_CREDENTIALS")
    assert words in str(raised.value)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "token_uri", ["nonsense", "", "ftp://127.0.0.1/token", "http://", "http://[", "http://a:b/"]
)
def test_a_token_uri_that_is_no_url_is_reported_by_variable(
    sheets: RunningSheets, token_uri: str
) -> None:
    info = sheets.server.service_account_info() | {"token_uri": token_uri}
    with pytest.raises(ConfigurationError, match=r"^GOOGLE_SHEETS_CREDENTIALS .*token_uri"):
        sheets.client(google_sheets_credentials=json.dumps(info))


def test_credentials_in_a_file_work_through_dagster(sheets: RunningSheets, tmp_path: Path) -> None:
    account = tmp_path / "account.json"
    account.write_text(json.dumps(sheets.server.service_account_info()))
    env = tmp_path / "env"
    env.write_text(
        f"SUPABASE_URL=http://127.0.0.1:1\nSUPABASE_KEY=sb_secret_x\n"
        f"GOOGLE_SHEETS_CREDENTIALS={account}\nGOOGLE_SHEET_URL={sheets.server.sheet_url}\n"
        f"GOOGLE_SHEETS_API_URL={sheets.server.url}\n"
    )

    resource = SheetResource(settings=SettingsResource(env_file=str(env)))
    with resource.clients() as (client,):
        assert len(client.read().rows) == 7
