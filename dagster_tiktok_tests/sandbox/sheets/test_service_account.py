"""The sandbox's token endpoint rejects what Google's would."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dagster_tiktok_tests.support.sheet_calls import call, token
from dagster_tiktok_tests.support.sheets import RunningSheets


def test_no_token_is_issued_unless_every_part_of_the_assertion_is_right(
    sheets: RunningSheets,
) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    now = int(time.time())
    assert token(sheets).status_code == 200
    for claims in (
        {"key": stranger},
        {"aud": "https://example.com/token"},
        {"scope": "https://www.googleapis.com/auth/drive"},
        {"iss": "other@example.com"},
        {"iat": now - 7200, "exp": now - 3600},
        {"exp": now + 7200},
    ):
        response = token(sheets, **claims)
        assert (response.status_code, "access_token" in response.json()) == (400, False), claims


def test_tokens_that_were_expired_by_hand_are_rejected(
    sheets: RunningSheets,
) -> None:
    bearer = token(sheets).json()["access_token"]
    assert call(sheets, "GET", "", bearer=bearer).status_code == 200
    assert sheets.control("POST", "tokens/expire") == {"expired": 1}
    assert call(sheets, "GET", "", bearer=bearer).status_code == 401
