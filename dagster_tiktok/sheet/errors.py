"""What a failed call to Google Sheets means: wait and retry, give up, or ask a person.

No message holds what Google answered, which may quote cells: only what is known to be the cause.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import RefreshError, TransportError
from urllib3.exceptions import MaxRetryError, NewConnectionError

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailable
from dagster_tiktok.retry import RETRIED_STATUSES, TransientError, retry_after_seconds
from dagster_tiktok.sheet.sessions import UnexpectedAnswerError

_KNOWN_TOKEN_ERRORS = ("invalid_grant", "invalid_scope", "invalid_client", "unauthorized_client")


class AnswerLostError(TransientError):
    """The request was sent, but whether it was applied is not known."""


class UnreachableError(TransientError):
    """No connection: nothing listens there, or the name is not known."""


def of_response(
    response: requests.Response, email: str, *, writing: bool, refusals: int
) -> Exception:
    """The error for an answer that is none.

    Arguments:
        email: the service account's.
        refusals: how many 429 came in a row, this one not counted; the wait doubles with each.
    """
    status = response.status_code
    if status == requests.codes.too_many:
        # The quota refills each minute, and 1 + 2 + … + 32 seconds outlast it.
        wait = retry_after_seconds(response.headers)
        return TransientError(
            "Google Sheets answered 429: the quota is used up",
            retry_after=float(2**refusals) if wait is None else wait,
        )
    if status in RETRIED_STATUSES:
        return AnswerLostError(
            f"Google Sheets answered {status}", retry_after=retry_after_seconds(response.headers)
        )
    return _of_refusal(status, _message(response), email, writing)


def of_exception(error: Exception, api_url: str, token_uri: str) -> Exception:
    """The error for a call that got no answer."""
    if isinstance(error, RefreshError):
        return _of_refresh(error)
    host = api_url
    cause: BaseException = error
    if isinstance(error, TransportError):
        host, cause = token_uri, error.__cause__ or error
    if isinstance(cause, UnexpectedAnswerError):
        return ServiceUnavailable(str(cause))
    # Without a name and password, which an address may hold.
    place = urlsplit(host).netloc.rpartition("@")[2]
    name = type(cause).__name__
    if _never_connected(cause):
        return UnreachableError(f"{place} cannot be reached ({name})")
    return AnswerLostError(f"the connection to {place} failed ({name})")


def not_json() -> Exception:
    """The error for a 200 that holds a page instead of data."""
    return AnswerLostError("Google Sheets answered 200 without data")


def unknown_form() -> Exception:
    """The error for data that are not what Google documents. Never an empty sheet."""
    return ServiceUnavailable("Google Sheets answered in an unknown form.")


def unreachable(error: UnreachableError) -> ConfigurationError:
    return ConfigurationError(
        f"GOOGLE_SHEETS_API_URL: {error}; check the address (and the credentials' token_uri), "
        "the network and the proxy."
    )


def _of_refusal(status: int, message: str, email: str, writing: bool) -> Exception:
    if status == requests.codes.unauthorized:
        return ConfigurationError(
            f"GOOGLE_SHEETS_CREDENTIALS: Google does not accept the sign-in of {email}; check that "
            "the service account and its key still exist."
        )
    if status == requests.codes.forbidden:
        return ConfigurationError(_forbidden(message, email, writing))
    if status == requests.codes.not_found:
        return ConfigurationError(
            "GOOGLE_SHEET_URL: there is no such spreadsheet; copy its address from the browser, "
            f"and share it with {email} as editor."
        )
    if status == requests.codes.bad_request:
        return _bad_request(message, email)
    return ServiceUnavailable(f"Google Sheets answered {status}, which is not expected.")


def _of_refresh(error: RefreshError) -> Exception:
    if error.retryable:
        return TransientError("Google's token endpoint is not available")
    answer = error.args[1] if len(error.args) > 1 else None
    code = answer.get("error") if isinstance(answer, dict) else None
    shown = f" ({code})" if code in _KNOWN_TOKEN_ERRORS else ""
    return ConfigurationError(
        f"GOOGLE_SHEETS_CREDENTIALS: Google refused to sign in the service account{shown}: its "
        "key was deleted, or this machine's clock is wrong; download a new key as JSON."
    )


def _forbidden(message: str, email: str, writing: bool) -> str:
    if "has not been used" in message or "is disabled" in message:
        return (
            "GOOGLE_SHEETS_CREDENTIALS: the Google Sheets API is not enabled in the service "
            "account's project; enable it in the Google Cloud console."
        )
    if writing:
        return (
            f"GOOGLE_SHEET_URL: {email} may read the spreadsheet but not write to it; share it "
            "with that address as editor."
        )
    return (
        f"GOOGLE_SHEET_URL: the spreadsheet is not shared with {email}; share it with that "
        "address as editor."
    )


def _bad_request(message: str, email: str) -> Exception:
    if "No grid with id" in message or "Unable to parse range" in message:
        return ConfigurationError(
            "GOOGLE_SHEET_URL: the spreadsheet has no tab with that gid; open the tab in the "
            "browser and copy the address again."
        )
    if "not supported for this document" in message:
        return ConfigurationError(
            "GOOGLE_SHEET_URL: the file is an Office document, not a Google Sheet; save it as a "
            "Google Sheet (File > Save as Google Sheets) and use that one's address."
        )
    if "protected" in message:
        return ConfigurationError(
            f"GOOGLE_SHEET_URL: the columns that are written are protected; allow {email} to edit "
            "them (Data > Protect sheets and ranges)."
        )
    return ServiceUnavailable("Google Sheets refused the request as invalid (400).")


def _message(response: requests.Response) -> str:
    try:
        message = json.loads(response.content)["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return message if isinstance(message, str) else ""


def _never_connected(error: BaseException) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return False
    reason = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(reason, MaxRetryError) and isinstance(reason.reason, NewConnectionError)
