"""Reads one link: which post it names, or why it names none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from dagster_tiktok.text import quoted
from dagster_tiktok.tiktok.links.post_ids import find_id_fault, is_truncated_id, is_whole_id
from dagster_tiktok.tiktok.links.post_refs import PostRef, is_account, says_photo
from dagster_tiktok.tiktok.links.wrapped_links import wrapped_id, wrapping_host

_SHOWN_HOST = 40
_COPY_AGAIN = "Copy the link again"
_OPEN = "Open the post and copy its link"

# TikTok changes the form of codes: nine letters and digits until 2025, then thirteen, a hyphen and
# five. So we accept all that is safe in a URL, and TikTok says whether it exists. Fewer than five
# characters are the rest of a truncated code.
_SHORT_CODE = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}")
_MIN_CODE_CHARACTERS = 5
_SCHEME = re.compile(r"(?i)(?:https?:)?//")
# Letters, digits and inner hyphens; `xn--` names (punycode) are never TikTok's.
_AUTHORITY = re.compile(
    r"(?i)(?P<host>(?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,10})"
    r"\.?(?::(?:80|443))?\Z"
)
_QUERY = re.compile(r"(?i)[?#&]|%3f|%23")
_DIGITS = re.compile(r"[0-9]+")
# The same page in another language, `/en/…`, `/zh-Hant/…`.
_LANGUAGE = re.compile(r"(?i)(?:[a-z]{2}|fil|ceb)(?:-[a-z0-9]{2,4}){0,2}\Z")

_POST_HOSTS = ("tiktok.com", "tiktokv.com", "tiktokv.us")
_SHORT_HOST = re.compile(r"v[a-z0-9]?\.tiktok\.com\Z")
"""vm., vt. and similar ones. A code works on all of them."""
_POST_PREFIXES = (
    ("video",),
    ("photo",),
    ("embed",),
    ("embed", "v2"),
    ("embed", "v3"),
    ("player", "v1"),
    ("v",),
    ("share", "video"),
    ("share", "photo"),
    ("i18n", "share", "video"),
    ("i18n", "share", "photo"),
)
# The rest of `/video/` and `/photo/` in a link that was truncated there.
_TRUNCATED_KINDS = frozenset(kind[:size] for kind in ("video", "photo") for size in range(1, 5))
_OTHER_PAGES = {
    "live": "a live room",
    "search": "a search page",
    "tag": "a hashtag page",
    "music": "a sound page",
    "discover": "a search page",
    "explore": "a feed",
    "foryou": "a feed",
    "following": "a feed",
    "friends": "a feed",
    "login": "the login page",
}


@dataclass(frozen=True)
class Reading:
    """The result for one link.

    `ref`: the post that it names.
    `fault`: if it names none, the reason, as a message for the VA.
    `part`: if the link was truncated, what is left of the post's id or code.
    `wrapped`: another site's link leads to the post's link; then `part` is the id inside it, or "".
    """

    ref: PostRef | None = None
    fault: str = ""
    part: str | None = None
    wrapped: bool = False


def read_link(link: str, now: datetime | None) -> Reading:
    """Reads `link`, which has nothing around it and may lack its scheme.

    Arguments:
        now: aware; no post can be newer. The machine's clock by default.
    """
    split = _split(link)
    if split is None:
        if (wrapper := wrapping_host(link)) is not None:
            return Reading(fault=_wrapped(wrapper, link), part=wrapped_id(link), wrapped=True)
        return Reading()
    host, path = split
    segments = [segment for segment in path.split("/") if segment]
    if len(segments) > 1 and _LANGUAGE.match(segments[0]):
        del segments[0]
    return _post(segments, host, link, now)


def _wrapped(host: str, link: str) -> str:
    # A VA who sees the post's whole link in the cell needs to know why it does not count.
    why = " (we can't use a link inside another site's link)" if wrapped_id(link) else ""
    return (
        f"Post URL is a link of {host[-_SHOWN_HOST:]}, not of TikTok: open it, then copy the "
        f"post's link from TikTok{why}: {quoted(link)}"
    )


def _split(link: str) -> tuple[str, str] | None:
    """Host in lower case and decoded path, None if the host is not TikTok's.

    Not urlsplit, which drops tabs and line breaks.
    """
    rest = _SCHEME.sub("", link, count=1) if _SCHEME.match(link) else link
    cut = _QUERY.search(rest)
    located = rest[: cut.start()] if cut else rest
    authority, _, path = located.partition("/")
    match = _AUTHORITY.match(authority)
    host = match["host"].lower() if match else ""
    if not any(host == known or host.endswith("." + known) for known in _POST_HOSTS):
        return None
    return host, unquote(path)


def _post(segments: list[str], host: str, link: str, now: datetime | None) -> Reading:
    user = segments[0][1:] if segments and segments[0].startswith("@") else None
    lowered = tuple(segment.lower() for segment in segments)
    if user is not None and lowered[1:2] in (("video",), ("photo",)):
        is_photo = lowered[1] == "photo" or says_photo(link)
        return _by_id(segments[2:3], link, now, user if is_account(user) else None, is_photo)
    for prefix in _POST_PREFIXES:
        size = len(prefix)
        if lowered[:size] == prefix and lowered[size : size + 1] and lowered[size][0].isdigit():
            is_photo = prefix[-1] == "photo" or says_photo(link)
            return _by_id(segments[size : size + 1], link, now, is_photo=is_photo)
    if (code := _code_segment(segments, host)) is not None:
        match = _SHORT_CODE.match(code)
        known = match[0].rstrip(".") if match else ""
        if len(known) >= _MIN_CODE_CHARACTERS:
            return Reading(PostRef(short_code=known))
        fault = f"Post URL is a short link that is not complete. {_COPY_AGAIN}: {quoted(link)}"
        return Reading(fault=fault, part=code if code.isalnum() else None)
    if user is not None and len(lowered) == 2 and lowered[1] in _TRUNCATED_KINDS:
        fault = f"Post URL is not complete: its end is missing. {_COPY_AGAIN}: {quoted(link)}"
        return Reading(fault=fault, part="")
    fault = f"Post URL is {_page(user, lowered)}, not a post. {_OPEN}: {quoted(link)}"
    return Reading(fault=fault)


def _by_id(
    segment: Sequence[str],
    link: str,
    now: datetime | None,
    user: str | None = None,
    is_photo: bool = False,
) -> Reading:
    digits = match[0] if segment and (match := _DIGITS.match(segment[0])) else ""
    if not segment:
        fault = f"Post URL is not complete: its post number is missing. {_COPY_AGAIN}"
        return Reading(fault=f"{fault}: {quoted(link)}", part="")
    why = find_id_fault(digits, now) if digits else "no digits"
    if why is None:
        return Reading(PostRef(tiktok_id=digits, user=user, is_photo=is_photo))
    if digits and is_truncated_id(digits):
        fault = f"Post URL is not complete: its post number is too short ({why})"
    else:
        mistyped = ": it is mistyped" if digits and is_whole_id(digits) else ""
        fault = f"Post URL has an impossible post number{mistyped} ({why})"
    return Reading(fault=f"{fault}. {_COPY_AGAIN}: {quoted(link)}", part=digits or None)


def _code_segment(segments: list[str], host: str) -> str | None:
    """The code of a short link, "" if it is missing."""
    if segments[:1] in (["t"], ["T"]) and host.endswith("tiktok.com"):
        return segments[1] if len(segments) > 1 else ""
    if _SHORT_HOST.match(host):
        return segments[0] if segments else ""
    return None


def _page(user: str | None, lowered: tuple[str, ...]) -> str:
    if user is not None and lowered[1:2] == ("live",):
        return "a live room"
    if user is not None and lowered[1:2] in (("playlist",), ("collection",)):
        return "a playlist"
    if user is not None and len(lowered) == 1:
        return "a profile"
    if not lowered or (len(lowered) == 1 and _LANGUAGE.match(lowered[0])):
        return "TikTok's home page"
    return _OTHER_PAGES.get(lowered[0], "another page of TikTok")
