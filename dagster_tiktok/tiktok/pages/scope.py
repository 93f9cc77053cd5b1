"""The JSON inside a TikTok page, or which kind of rejection the page is.

We search the bytes for the script: a page has 250 to 400 KB, of which about 30 KB are data, and an
HTML parser would spend its time on the rest. We look for words only in pages without the script:
"captcha" and "Video unavailable" are in every page's translations.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

from dagster_tiktok.tiktok.failures import FailureKind, PostUnreadableError, unreadable
from dagster_tiktok.tiktok.pages.shapes import SeoShape

DETAIL_PARTS = ("webapp.video-detail", "webapp.reflow.video.detail")
"""Where a page has its post; the second is for mobile browsers."""
USER_PART = "webapp.user-detail"

_SCRIPT_ID = "__UNIVERSAL_DATA_FOR_REHYDRATION__"
_SCOPE = "__DEFAULT_SCOPE__"
# The script's tag begins and ends within this distance of the id.
_TAG_BYTES = 500
_MAX_MENTIONS = 1_000
"""Of the id in a page. Real pages have a few, in code that reads the script."""
_SCRIPT_TAG = re.compile(rb"""(?i)<script(?=[\s/])(?:[^<>"']|"[^"]*"|'[^']*')*>""")

_CHALLENGE_BYTES = 64 * 1024
_CHALLENGE = re.compile(
    rb"SlardarWAF|captcha-init|Please wait\.\.\.|\bid\s{0,5}=\s{0,5}[\"']?(?:cs|wci|rci|rs)[\"'\s>]"
)
# We know stubs of 640 bytes; no real page is this small.
_STUB_BYTES = 2048


def extract_scope(html: bytes | str) -> dict[str, Any]:
    """`__DEFAULT_SCOPE__` of a page: its parts by name (`webapp.video-detail`, …).

    Takes time linear in the page's size.

    Raises:
        PostUnreadableError: challenge, shield (an empty page or a stub) or unreadable.
    """
    data = script_data(html, _SCRIPT_ID)
    scope = data.get(_SCOPE) if isinstance(data, dict) else None
    if not isinstance(scope, dict):
        text = _as_json(data)
        raise unreadable(FailureKind.UNREADABLE, f"no {_SCOPE} in the page", page_json=text)
    return scope


def script_data(html: bytes | str, script_id: str) -> Any:
    """The JSON inside the script element of that id.

    Raises:
        PostUnreadableError: as `extract_scope`.
    """
    page = html.encode("utf-8", "surrogatepass") if isinstance(html, str) else html
    start = _script_start(page, script_id.encode())
    if start < 0:
        raise classify_without_data(page)
    end = page.find(b"</script", start)
    if end < 0:
        raise unreadable(FailureKind.UNREADABLE, "the page is truncated")
    try:
        # A third faster than json, which gets what this one rejects.
        return from_json(page[start:end], cache_strings="keys")
    except ValueError:
        pass
    text = page[start:end].decode("utf-8", "replace")
    try:
        # Accepts raw control characters inside strings, lone surrogates and broken UTF-8.
        return json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        detail = f"the page's data is not JSON: {type(error).__name__}"
        raise unreadable(FailureKind.UNREADABLE, detail, page_json=text) from None


def scope_json(scope: dict[str, Any]) -> str | None:
    """The scope as JSON for the maintainer, None if it is nested too deeply."""
    return _as_json({_SCOPE: scope})


def make_incomplete_error(scope: dict[str, Any], detail: str) -> PostUnreadableError:
    """The page has data, but not what we need from it."""
    return unreadable(FailureKind.INCOMPLETE, detail, page_json=scope_json(scope))


def canonical_link(scope: dict[str, Any]) -> str:
    """The page's canonical URL, "" without one."""
    seo = scope.get("seo.abtest")
    return SeoShape.model_validate(seo if isinstance(seo, dict) else {}).canonical


def has_post_or_account(scope: dict[str, Any]) -> bool:
    """Whether a page is about a post or an account, even if only to say that it does not exist."""
    return any(isinstance(scope.get(name), dict) for name in (*DETAIL_PARTS, USER_PART))


def classify_without_data(page: bytes) -> PostUnreadableError:
    """Which kind of rejection a page without data is."""
    if not page.strip():
        return unreadable(FailureKind.SHIELD, "the page is empty")
    # Larger pages have these marks in code and translations.
    if len(page) <= _CHALLENGE_BYTES and _CHALLENGE.search(page):
        return unreadable(FailureKind.CHALLENGE, f"a challenge page of {len(page)} bytes")
    if len(page) < _STUB_BYTES:
        return unreadable(FailureKind.SHIELD, f"a page of {len(page)} bytes without data")
    return unreadable(FailureKind.UNREADABLE, f"a page of {len(page)} bytes without data")


def _as_json(data: Any) -> str | None:
    try:
        return json.dumps(data)
    except (RecursionError, ValueError):  # nested too deeply; a number of too many digits
        return None


def _script_start(page: bytes, script_id: bytes) -> int:
    """Where the data begins, -1 without it. Code that reads the script also has the id."""
    at = page.find(script_id)
    for _ in range(_MAX_MENTIONS):
        if at < 0:
            break
        opening = page.rfind(b"<", max(0, at - _TAG_BYTES), at)
        if opening >= 0:
            tag = _SCRIPT_TAG.match(page, opening, at + _TAG_BYTES)
            if tag and tag.end() > at:
                return tag.end()
        at = page.find(script_id, at + len(script_id))
    return -1
