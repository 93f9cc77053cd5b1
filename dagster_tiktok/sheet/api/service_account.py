"""Who reads the sheet: the service account, and where its tokens come from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.service_account import Credentials

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.net.retry import is_transient_status
from dagster_tiktok.sheet.api.bounded_session import (
    MAX_RESPONSE_SECONDS,
    MAX_SHEET_BYTES,
    MAX_TOKEN_BYTES,
    BoundedSession,
)

SCOPES = ("https://www.googleapis.com/auth/spreadsheets",)
_FIELDS = ("client_email", "private_key", "token_uri")
_NOT_JSON = "the token endpoint did not return JSON"
_MAX_TOKEN_SECONDS = 10**9
_TOKEN = re.compile(r"[!-~]+")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,10}")
_HELP = "download a key of the service account (IAM > Service accounts > Keys) as JSON"
_MAX_PATH_CHARACTERS = 255
_PATH_STARTS = ("/", "./", "../", "~")
# A line of a key's base64 may begin with a slash, but it has none so often.
_KEY_LIKE = re.compile(r"[A-Za-z0-9+=]{24}")


class ServiceAccountSession:
    """An HTTP session that signs in as the service account, and contacts nothing else for it."""

    def __init__(
        self,
        setting: str,
        *,
        max_seconds: float = MAX_RESPONSE_SECONDS,
        max_bytes: int = MAX_SHEET_BYTES,
    ) -> None:
        """`setting` is `GOOGLE_SHEETS_CREDENTIALS`; the limits are those of one response.

        Raises ConfigurationError.
        """
        info = _account_info(setting)
        try:
            credentials = Credentials.from_service_account_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001  # which errors a malformed key raises is not documented
            # `from None`: the parser's message may quote the key.
            raise _credentials_error("holds a private key that cannot be read") from None
        self.email: str = info["client_email"]
        self.token_uri: str = info["token_uri"]
        self._token_session = BoundedSession(
            who="Google's token endpoint", max_bytes=MAX_TOKEN_BYTES, max_seconds=max_seconds
        )
        request = TokenRequest(self._token_session, self.token_uri)
        self.session = _SheetsSession(
            credentials,
            auth_request=request,
            who="Google Sheets",
            max_bytes=max_bytes,
            max_seconds=max_seconds,
        )

    def close(self) -> None:
        self.session.close()  # type: ignore[no-untyped-call]
        self._token_session.close()


class _SheetsSession(BoundedSession, AuthorizedSession):
    """Signs in, and takes no response beyond its limits."""


class TokenRequest(Request):
    """google-auth's transport, held to the one address that tokens come from.

    google-auth also looks up where an account's data may live, in a thread, at a Google host:
    nothing here needs that, and a local run must not leave the machine.
    """

    def __init__(self, session: requests.Session, token_uri: str) -> None:
        super().__init__(session)
        self._token_uri = token_uri

    def __call__(self, url: str, *args: Any, **kwargs: Any) -> Any:
        """Raises TransportError for another address, and for a success that is not JSON.

        RefreshError for a response that google-auth would stumble over.
        """
        if url != self._token_uri:
            raise TransportError("only the token endpoint is contacted")  # type: ignore[no-untyped-call]
        response = super().__call__(url, *args, **kwargs)  # type: ignore[no-untyped-call]
        kind = str(response.headers.get("Content-Type", ""))
        if response.status == requests.codes.ok and "json" not in kind:
            raise TransportError(_NOT_JSON)  # type: ignore[no-untyped-call]
        if not _is_token_response(response.data, response.status):
            # Without the response: it may hold the token.
            raise RefreshError(  # type: ignore[no-untyped-call]
                "a response in an unexpected format", retryable=is_transient_status(response.status)
            )
        return response


def _is_token_response(data: bytes, status: int) -> bool:
    """Whether the response is an object, and with status 200 one that holds a token."""
    try:
        response = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(response, dict) or status != requests.codes.ok:
        return isinstance(response, dict)
    token, seconds = response.get("access_token"), response.get("expires_in")
    if isinstance(seconds, str) and _WHOLE_NUMBER.fullmatch(seconds):
        seconds = int(seconds)
    # bool is an int to isinstance; a token that no header can carry is none.
    return (
        isinstance(token, str)
        and _TOKEN.fullmatch(token) is not None
        and (seconds is None or (type(seconds) is int and 0 <= seconds <= _MAX_TOKEN_SECONDS))
    )


def _account_info(setting: str) -> Mapping[str, Any]:
    text = setting.strip()
    if not text.startswith("{"):
        text = _file_text(text)
    try:
        info = json.loads(text)
    except ValueError:
        raise _credentials_error("is not JSON") from None
    if not isinstance(info, dict) or info.get("type") != "service_account":
        kind = ", but a client secret for signing in by hand" if "installed" in info else ""
        raise _credentials_error(f"is not the JSON of a service account{kind}")
    missing = [name for name in _FIELDS if not isinstance(info.get(name), str)]
    if missing:
        raise _credentials_error(f"lacks {', '.join(missing)}")
    if not _is_http_url(info["token_uri"]):
        raise _credentials_error("holds a token_uri that is not an http(s) URL")
    return info


def _is_http_url(text: str) -> bool:
    try:
        requests.Request("POST", text).prepare()
    except ValueError:  # as all of requests' errors about addresses are
        return False
    return text.lower().startswith(("https://", "http://"))


def _file_text(path: str) -> str:
    shown = f" ({path})" if _is_path(path) else ""
    try:
        return Path(path).expanduser().read_text("utf-8")
    except FileNotFoundError:
        raise _credentials_error(f"names a file that does not exist{shown}") from None
    except RuntimeError:
        raise _credentials_error(
            f"names the home folder of a user that does not exist{shown}"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise _credentials_error(f"names a file that cannot be read{shown}: {reason}") from None


def _is_path(text: str) -> bool:
    # What was meant as inline JSON and lost its brace, or is a part of a key, must not be shown.
    suspicious = any(mark in text for mark in ("{", '"', "PRIVATE KEY", "private_key"))
    return (
        (text.endswith(".json") or text.startswith(_PATH_STARTS))
        and len(text) <= _MAX_PATH_CHARACTERS
        and text.isprintable()
        and not suspicious
        and not _KEY_LIKE.search(text)
    )


def _credentials_error(what: str) -> ConfigurationError:
    return ConfigurationError(f"GOOGLE_SHEETS_CREDENTIALS {what}: {_HELP}.")
