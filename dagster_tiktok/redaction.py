"""What servers and programs say, on its way into an error, a log or the database: without secrets.

A proxy's error page repeats the headers of the request, and one of them is the key. So text from
other systems enters a message only through `told`, and every error body of Supabase passes through
`redacted_body` before it is read.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

HIDDEN = "[hidden]"
_LEAST_CHARACTERS = 6
"""A shorter string is not a secret, and would match parts of ordinary words."""

_SECRETS = re.compile(
    # Of Supabase, JSON Web Tokens (the older keys, the tokens of users), Google's tokens.
    r"sb_secret_[A-Za-z0-9_-]*"
    r"|eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"
    r"|ya29\.[A-Za-z0-9._-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|https?://hooks\.slack\.com/[^\s\"'<>]*",
    re.DOTALL | re.IGNORECASE,
)
_AFTER_SCHEME = re.compile(r"\b(Bearer|Basic)((?:\s|%20|\+)+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(api[-_]?key|authorization|private[-_]key|access[-_]token|password|secret)"
    r"(\\?[\"']?\s*(?:[:=]|%3A|%3D)\s*\\?[\"']?)(?!\s)(?:(?:Bearer|Basic)\s+)?[^\s\"',;<>&\\]+",
    re.IGNORECASE,
)
_LOGIN_IN_URL = re.compile(r"(?<=://)[^\s/@\"'<>]*@(?=[^\s/@])")

_TAG = re.compile(r"<[a-z!/?][^>]{0,5000}>?", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>(.{0,2000}?)</title", re.IGNORECASE | re.DOTALL)
_NOT_TEXT = re.compile(r"<(script|style|head)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_PAGE_CHARACTERS = 80
_READ_CHARACTERS = 64 * 1024
_DEPTH = 20


def redacted(text: str, secrets: Collection[str] = ()) -> str:
    """Removes the secrets, and everything that looks like one, from a text.

    Arguments:
        secrets: those of the settings, see `Settings.secrets`.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        for form in _forms(secret):
            text = text.replace(form, HIDDEN)
    text = _AFTER_SCHEME.sub(rf"\1\2{HIDDEN}", _SECRETS.sub(HIDDEN, text))
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    return _LOGIN_IN_URL.sub(f"{HIDDEN}@", text)


def told(text: str, secrets: Collection[str] = (), *, characters: int = 200) -> str:
    """Text of another system, for a message: one line, no secrets; of an HTML page the title."""
    text = text[:_READ_CHARACTERS]
    if _TAG.search(text):
        title = _TITLE.search(text)
        words = title[1] if title and title[1].strip() else _NOT_TEXT.sub(" ", text)
        text = html.unescape(_TAG.sub(" ", words))
        characters = min(characters, _PAGE_CHARACTERS)
    return " ".join(redacted(text, secrets).split())[:characters]


def redacted_body(body: bytes, secrets: Collection[str] = ()) -> bytes:
    """Redacts the body of an error: JSON stays JSON, anything else becomes one line."""
    text = body.decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return told(text, secrets).encode()
    return json.dumps(_redacted_value(said, secrets, _DEPTH)).encode()


def _redacted_value(value: Any, secrets: Collection[str], depth: int) -> Any:
    if isinstance(value, str):
        return told(value, secrets, characters=1000)
    if not isinstance(value, (dict, list)):
        return value
    if depth == 0:
        return None
    if isinstance(value, list):
        return [_redacted_value(item, secrets, depth - 1) for item in value]
    return {
        told(str(key), secrets): _redacted_value(item, secrets, depth - 1)
        for key, item in value.items()
    }


def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it is, percent-encoded, and escaped for JSON."""
    if len(secret) < _LEAST_CHARACTERS:
        return ()
    forms = (secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1])
    return tuple(dict.fromkeys(forms))
