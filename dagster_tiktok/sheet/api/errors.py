"""What a failed request to Google Sheets means: retry, give up, or ask the operator.

Of a message that Google sends, which may quote cells, at most the first plain words are shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import RefreshError, TransportError
from urllib3.exceptions import MaxRetryError, NewConnectionError

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.net.retry import TransientError, is_transient_status, parse_retry_after
from dagster_tiktok.redaction import redacted
from dagster_tiktok.sheet.api.bounded_session import ResponseTooLargeError, UnexpectedResponseError

# Seen in Google's responses: 400, and 403 too.
_PROTECTED = re.compile(
    r"protected (cell|range|sheet|object)|(cell|range|sheet) is protected", re.IGNORECASE
)
_NO_SUCH_RANGE = re.compile(
    r"no grid with id|unable to parse range|exceeds grid limits|no sheet with id|"
    # What is left of the range is smaller than the values.
    r"cannot fit the data",
    re.IGNORECASE,
)
_OFFICE_FILE = re.compile(r"not supported for this document|office file", re.IGNORECASE)
_NO_PERMISSION = re.compile(r"caller does not have permission|PERMISSION_DENIED", re.IGNORECASE)
_PLAIN_WORDS = re.compile(r"[A-Za-z](?:[A-Za-z ,.-]|(?<=[a-z])'(?=[a-z]))*")
_SHOWN_CHARACTERS = 80
_REPEATED_CHARACTERS = 12
"""A text that was sent is recognized by so many characters."""
_LEAST_CHARACTERS = 4

# What a 403 says, and what it means. The first that fits is taken.
_PROJECT = "GOOGLE_SHEETS_CREDENTIALS: the Google Cloud project of {email}"
FORBIDDEN = (
    (
        r"has been (deleted|suspended)"
        r"|(project|consumer)\b.*\b(deleted|suspended|invalid|not found)",
        f"{_PROJECT} was deleted or suspended; restore it in the Google Cloud console, or use a "
        "service account of another project.",
    ),
    (
        "billing",
        f"{_PROJECT} has a billing problem; check Billing in the Google Cloud console.",
    ),
    (
        "has not been used|is disabled|SERVICE_DISABLED|access not configured",
        "GOOGLE_SHEETS_CREDENTIALS: the Google Sheets API is not enabled in the service "
        "account's project; enable it in the Google Cloud console.",
    ),
    (
        "scope",
        "GOOGLE_SHEETS_CREDENTIALS: the sign-in of {email} lacks the scope for spreadsheets; "
        "remove restrictions on the service account's scopes, or use another service account.",
    ),
    (
        "polic(y|ies)|organi[sz]ation|VPC|admin",
        "GOOGLE_SHEETS_CREDENTIALS: a policy of the organization keeps {email} from the "
        "spreadsheet; ask its Google administrator to allow it.",
    ),
    (
        r"permission to use project|serviceusage",
        f"{_PROJECT} does not let it use the Google Sheets API; give it the role Service Usage "
        "Consumer there.",
    ),
)

_KNOWN_TOKEN_ERRORS = ("invalid_grant", "invalid_scope", "invalid_client", "unauthorized_client")


class ResponseLostError(TransientError):
    """The request was sent, but whether it was applied is not known."""


class UnreachableError(TransientError):
    """No connection: nothing listens there, or the name is not known."""


class TooLargeError(ServiceUnavailableError):
    """The response is over the size limit: fewer columns may fit."""


class ProtectedError(ConfigurationError):
    """At least one cell of the write is protected; Google rejects the whole request."""


class UnknownRangeError(ConfigurationError):
    """The range is not there (any more): the tab was renamed, or the grid became smaller."""


def response_error(
    response: requests.Response, email: str, *, writing: bool, rejections: int
) -> Exception:
    """The error for a response with an error status.

    Arguments:
        email: the service account's.
        rejections: how many 429 came in a row before this one; the wait doubles with each.
    """
    status = response.status_code
    if status == requests.codes.too_many:
        # The quota refills each minute, and 1 + 2 + … + 32 seconds outlast it.
        wait = parse_retry_after(response.headers)
        return TransientError(
            "Google Sheets returned 429: the quota is used up",
            retry_after=float(2**rejections) if wait is None else wait,
        )
    if is_transient_status(status):
        return ResponseLostError(
            f"Google Sheets returned {status}", retry_after=parse_retry_after(response.headers)
        )
    return _rejection(status, _message(response), email, writing, sent_texts(response.request.body))


def request_error(error: Exception, api_url: str, token_uri: str) -> Exception:
    """The error for a request without a response."""
    if isinstance(error, RefreshError):
        return _sign_in_error(error)
    host = api_url
    cause: BaseException = error
    if isinstance(error, TransportError):
        host, cause = token_uri, error.__cause__ or error
    if isinstance(cause, ResponseTooLargeError) and not isinstance(error, TransportError):
        return TooLargeError(str(cause))
    if isinstance(cause, UnexpectedResponseError):
        return ServiceUnavailableError(str(cause))
    # Without a user name and password, which a URL may hold.
    place = urlsplit(host).netloc.rpartition("@")[2]
    name = type(cause).__name__
    if _never_connected(cause):
        return UnreachableError(f"{place} cannot be reached ({name})")
    return ResponseLostError(f"the connection to {place} failed ({name})")


def not_json_error() -> Exception:
    """The error for a 200 that holds a page instead of data."""
    return ResponseLostError("Google Sheets returned 200 without data")


def unexpected_format_error() -> Exception:
    """The error for data in another format than Google documents. Never an empty sheet."""
    return ServiceUnavailableError("Google Sheets returned data in an unexpected format.")


def unreachable_error(error: UnreachableError) -> ConfigurationError:
    return ConfigurationError(
        f"GOOGLE_SHEETS_API_URL: {error}; check the URL (and the credentials' token_uri), "
        "the network and the proxy."
    )


def _rejection(
    status: int, message: str, email: str, writing: bool, sent: Collection[str]
) -> Exception:
    if status == requests.codes.unauthorized:
        return ConfigurationError(
            f"GOOGLE_SHEETS_CREDENTIALS: Google does not accept the sign-in of {email}; check that "
            "the service account and its key still exist."
        )
    if _PROTECTED.search(message) and status in (
        requests.codes.bad_request,
        requests.codes.forbidden,
    ):
        return protected_error(email)
    if status == requests.codes.forbidden:
        if re.search("rate ?limit ?exceeded|quota exceeded", message, re.IGNORECASE):
            return TransientError("Google Sheets returned 403: the quota is used up")
        return ConfigurationError(_forbidden(message, email, writing, sent))
    if status == requests.codes.not_found:
        return ConfigurationError(
            "GOOGLE_SHEET_URL: there is no such spreadsheet; copy its URL from the browser, "
            f"and share it with {email} as editor."
        )
    if status == requests.codes.bad_request:
        return _bad_request(message, sent)
    return ServiceUnavailableError(f"Google Sheets returned {status}, which is not expected.")


def _sign_in_error(error: RefreshError) -> Exception:
    if error.retryable:
        return TransientError("Google's token endpoint is not available")
    response = error.args[1] if len(error.args) > 1 else None
    code = response.get("error") if isinstance(response, dict) else None
    shown = f" ({code})" if code in _KNOWN_TOKEN_ERRORS else ""
    return ConfigurationError(
        f"GOOGLE_SHEETS_CREDENTIALS: Google rejected the sign-in of the service account{shown}: "
        "its key was deleted, or this machine's clock is wrong; download a new key as JSON."
    )


def protected_error(email: str, cell: str | None = None) -> ProtectedError:
    """For a write of which nothing is accepted because cells are protected, `cell` if known."""
    if cell:
        return ProtectedError(
            f"GOOGLE_SHEET_URL: the cell {cell} is protected; allow {email} to edit it "
            "(Data > Protect sheets and ranges)."
        )
    return ProtectedError(
        f"GOOGLE_SHEET_URL: the cells that are written are protected; allow {email} to edit "
        "them (Data > Protect sheets and ranges)."
    )


def _forbidden(message: str, email: str, writing: bool, sent: Collection[str]) -> str:
    for pattern, advice in FORBIDDEN:
        if re.search(pattern, message, re.IGNORECASE):
            return advice.replace("{email}", email)
    if message and not _NO_PERMISSION.search(message):
        return (
            f"GOOGLE_SHEETS_CREDENTIALS: Google rejects the request (403)"
            f"{_quoted_words(message, sent)}; "
            f"check the project of {email} in the Google Cloud console, and that the spreadsheet "
            "is shared with that e-mail address as editor."
        )
    if writing:
        return (
            f"GOOGLE_SHEET_URL: {email} may read the spreadsheet but not write to it; share it "
            "with that e-mail address as editor."
        )
    return (
        f"GOOGLE_SHEET_URL: the spreadsheet is not shared with {email}; share it with that "
        "e-mail address as editor."
    )


def _bad_request(message: str, sent: Collection[str]) -> Exception:
    if _NO_SUCH_RANGE.search(message):
        return UnknownRangeError(
            "GOOGLE_SHEET_URL: the spreadsheet has no tab with that gid; open the tab in the "
            "browser and copy the URL again."
        )
    if _OFFICE_FILE.search(message):
        return ConfigurationError(
            "GOOGLE_SHEET_URL: the file is an Office document, not a Google Sheet; save it as a "
            "Google Sheet (File > Save as Google Sheets) and use that one's URL."
        )
    return ServiceUnavailableError(
        f"Google Sheets rejected the request as invalid (400){_quoted_words(message, sent)}; this "
        "will not pass by itself: report it with this message."
    )


def _quoted_words(message: str, sent: Collection[str]) -> str:
    """`: "…"` with the plain words that a message begins with.

    Values and ranges follow a colon, a quote, a bracket or a number: all of that is cut, and so is
    what the message has in common with the texts that were sent.
    """
    found = _PLAIN_WORDS.match(redacted(message))
    words = found[0][:_SHOWN_CHARACTERS] if found else ""
    for start in range(len(words)):
        rest = words[start:].casefold()
        repeated = rest[:_REPEATED_CHARACTERS]
        if any(
            rest.startswith(text) or (len(repeated) == _REPEATED_CHARACTERS and repeated in text)
            for text in sent
        ):
            words = words[:start]
            break
    words = words.strip(" ,.-")
    return f': "{words}"' if words else ""


def sent_texts(body: bytes | str | None) -> frozenset[str]:
    """The texts of a request's cells and ranges, in lower case, which an error may quote."""
    try:
        values = [json.loads(body or "null")]
    except (ValueError, RecursionError):
        return frozenset()
    found: set[str] = set()
    while values:
        value = values.pop()
        if isinstance(value, (dict, list)):
            values += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and len(text := value.casefold()) >= _LEAST_CHARACTERS:
            found |= {text, text.rpartition("!")[0].strip("'") or text}
    return frozenset(text for text in found if len(text) >= _LEAST_CHARACTERS)


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
