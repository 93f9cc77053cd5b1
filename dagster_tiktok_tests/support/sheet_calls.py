"""Calls of the sandbox's Google Sheets by plain HTTP."""

from __future__ import annotations

import time
from typing import Any

import requests
from google.auth import crypt, jwt

from dagster_tiktok_tests.support.sheets import RunningSheets

ROWS: list[list[Any]] = [
    ["Post URL", "VA", "Set ID", "Status"],
    ["a", "", "007", "Ready to Scrape"],
    [],
    ["b", "x", 12, "", ""],
]


def token(sheets: RunningSheets, **claims: Any) -> requests.Response:
    info = sheets.server.service_account_info()
    signer = crypt.RSASigner.from_service_account_info(info)  # type: ignore[no-untyped-call]
    now = int(time.time())
    payload = {
        "iss": info["client_email"],
        "aud": info["token_uri"],
        "scope": "https://www.googleapis.com/auth/spreadsheets",
        "iat": now,
        "exp": now + 3600,
    }
    key = claims.pop("key", None)
    if key is not None:
        signer = crypt.RSASigner.from_string(key)  # type: ignore[no-untyped-call]
    assertion = jwt.encode(signer, payload | claims).decode()  # type: ignore[no-untyped-call]
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    form = {"grant_type": grant, "assertion": assertion}
    return requests.post(info["token_uri"], data=form, timeout=60)


def call(sheets: RunningSheets, method: str, path: str, **options: Any) -> requests.Response:
    bearer = options.pop("bearer", None) or token(sheets).json()["access_token"]
    url = f"{sheets.server.url}/v4/spreadsheets/{sheets.server.spreadsheet_id}{path}"
    headers = {"Authorization": f"Bearer {bearer}"}
    return requests.request(method, url, headers=headers, timeout=60, **options)
