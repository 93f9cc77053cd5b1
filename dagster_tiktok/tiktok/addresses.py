"""From what a person pasted to the post that is meant.

Nothing here touches the network. The text is hostile until it has passed: only its id or its
short code goes on, never its host, so no cell can decide what is requested.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import quote, unquote

from dagster_tiktok.text import printable
from dagster_tiktok.tiktok.cell_links import links_in
from dagster_tiktok.tiktok.link_spellings import without_breaks
from dagster_tiktok.tiktok.post_ids import fault_of_id, is_cut_id, is_tiktok_id
from dagster_tiktok.tiktok.wrapped_links import wrapped_id, wrapping_host

__all__ = [
    "MAX_ADDRESS_CHARACTERS",
    "AddressError",
    "PostRef",
    "canonical_url",
    "is_account",
    "is_tiktok_id",
    "parse_address",
    "parse_url",
    "says_photo",
    "shown",
]

MAX_ADDRESS_CHARACTERS = 2048
"""Share links carry up to about 1,000 characters of tracking; a longer cell is something else."""

_SHOWN_CHARACTERS = 60
_SHOWN_HOST = 40
_COPY_AGAIN = "Copy the link again"

_NOT_TIKTOK = "Post URL is not a TikTok address"
_ENCODED_TWICE = re.compile(r"(?i)https?%25")

# Codes, names and hosts' prefixes are TikTok's to choose: nine letters and digits until 2025, then
# thirteen, a hyphen and five, something else next. What is safe in a URL is accepted, and TikTok
# says whether it exists. Fewer than five characters are what is left of a code that was cut.
_SHORT_CODE = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}")
_MIN_CODE_CHARACTERS = 5
_USER = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")

# How nearly every address looks. What it matches, the long way below reads in the same way.
_PLAIN = re.compile(
    r"https://www\.tiktok\.com/@([A-Za-z0-9_.-]{1,64})/(video|photo)/([1-9][0-9]{18})"
    r"(?:\?[A-Za-z0-9_=&.-]*)?\Z"
)
_SCHEME = re.compile(r"(?i)(?:https?:)?//")
_ABSOLUTE = re.compile(r"(?i)https?://")
# Letters, digits and inner hyphens; `xn--` names (punycode) are never TikTok's.
_AUTHORITY = re.compile(
    r"(?i)(?P<host>(?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,10})"
    r"\.?(?::(?:80|443))?\Z"
)
_QUERY = re.compile(r"(?i)[?#&]|%3f|%23")
_DIGITS = re.compile(r"[0-9]+")
# A short link's target and what is copied from it: 150 is TikTok's type of a carousel.
_PHOTO_PARAMETER = re.compile(r"[?&](?:aweme_type=150|pic_cnt=[1-9][0-9]?)(?![0-9])")
# The same page in another language, `/en/…`, `/zh-Hant/…`.
_LANGUAGE = re.compile(r"(?i)(?:[a-z]{2}|fil|ceb)(?:-[a-z]{2,4}){0,2}\Z")

_POST_HOSTS = ("tiktok.com", "tiktokv.com")
_SHORT_HOST = re.compile(r"v[a-z0-9]?\.tiktok\.com\Z")
"""vm., vt., and whatever comes next. One code works on all of them."""
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


class AddressError(ValueError):
    """The text names no post. Its text is the message that a VA reads."""


@dataclass(frozen=True)
class PostRef:
    """A post as an address names it: by its id, or by a short link's code until it is resolved.

    A resolved reference keeps its code. `user` and `is_photo` are only what the URL said, and no
    part of which post it is: TikTok does not check them.
    """

    tiktok_id: str | None = None
    short_code: str | None = None
    user: str | None = None
    is_photo: bool = field(default=False, compare=False)
    """Whether the URL says that the post shows slides (`/photo/`), not a video."""

    def __post_init__(self) -> None:
        if self.tiktok_id is None and self.short_code is None:
            raise ValueError("a PostRef needs an id or a short code")

    @property
    def key(self) -> str:
        """What was asked for: the same before and after the short link is resolved.

        Two keys may lead to one post; after resolution `tiktok_id` tells.
        """
        return f"t/{self.short_code}" if self.short_code else str(self.tiktok_id)


def parse_address(text: str, *, now: datetime | None = None) -> PostRef:
    """The post that `text`, the cell as typed, points to.

    The cell may hold more than the link: brackets, a share text, links that name no post. One link
    that names a post, in however many copies, is unambiguous.

    Arguments:
        now: aware; no post is younger. The machine's clock by default.

    Raises:
        AddressError: with a message for the VA who typed it.
    """
    if len(text) <= MAX_ADDRESS_CHARACTERS and (plain := _PLAIN.match(text)):
        if fault_of_id(plain[3], now) is None:
            is_photo = plain[2] == "photo" or says_photo(text)
            return PostRef(tiktok_id=plain[3], user=plain[1], is_photo=is_photo)
    elif len(text) > MAX_ADDRESS_CHARACTERS:
        raise AddressError(
            f"Post URL is not an address: it has {len(text)} characters, "
            f"at most {MAX_ADDRESS_CHARACTERS} are read"
        )
    typed = printable(text).strip()
    if not typed:
        raise AddressError("Post URL is empty")
    readings = [_read(link, now) for link in links_in(text)]
    if not any(reading.ref for reading in readings):
        # Mail programs and small cells break a link into lines. An id tells by itself whether it
        # is one; a code does not, so nothing is put together for it.
        joined = [_read(link, now) for link in links_in(without_breaks(text))]
        if any(reading.ref and reading.ref.tiktok_id for reading in joined):
            readings = joined
    return _the_one(typed, readings)


def parse_url(url: str, *, now: datetime | None = None) -> PostRef:
    """The post that a URL of TikTok's own names, a redirect's target for one: as it is, whole.

    Arguments:
        now: as of `parse_address`.

    Raises:
        AddressError: it names no post, or is no `http(s)` URL.
    """
    reading = _read(url, now) if _ABSOLUTE.match(url) else _Reading()
    return _the_one(url, [reading])


def is_account(text: str) -> bool:
    """Whether `text` can be the name of an account, without `@`."""
    return _USER.match(text) is not None


def says_photo(url: str) -> bool:
    """Whether the parameters of a URL of TikTok's say that the post is a carousel."""
    return _PHOTO_PARAMETER.search(url) is not None


def canonical_url(tiktok_id: str, user: str | None, is_carousel: bool) -> str:
    """The address under which a post is known, always on the real site.

    An unknown `user` becomes `_`, which TikTok accepts in that place.
    """
    kind = "photo" if is_carousel else "video"
    return f"https://www.tiktok.com/@{quote(user or '_', safe='')}/{kind}/{tiktok_id}"


def shown(text: str) -> str:
    """`text` in quotes, short and printable, as messages may show it."""
    head = printable(text[:_SHOWN_CHARACTERS])
    return f'"{head}…"' if len(text) > _SHOWN_CHARACTERS else f'"{head}"'


@dataclass(frozen=True)
class _Reading:
    """What one link says.

    `ref`: the post that it names. Otherwise `fault`: why it names none. `part`: what is left of
    the post that it named before it was cut. `wrapped`: the link leads to another link; then
    `part` is the id that it shows, "" where it shows none.
    """

    ref: PostRef | None = None
    fault: str = ""
    part: str | None = None
    wrapped: bool = False


def _the_one(typed: str, readings: Sequence[_Reading]) -> PostRef:
    found: dict[str, PostRef] = {}
    for reading in readings:
        if (ref := reading.ref) is not None:
            known = found.get(ref.key, ref)
            is_photo = ref.is_photo or known.is_photo
            found[ref.key] = replace(known, user=known.user or ref.user, is_photo=is_photo)
    if not found:
        # The most telling one: a link that was cut, a wrapped one, another page, another site.
        faults = sorted(readings, key=lambda r: (r.part is None, r.wrapped, not r.fault))
        fault = faults[0].fault if faults else ""
        if not fault and _ENCODED_TWICE.search(typed):
            fault = (
                "Post URL is encoded more than once: open the post, then copy its own link from "
                f"TikTok: {shown(typed)}"
            )
        raise AddressError(fault or f"{_NOT_TIKTOK}: {shown(typed)}")
    names = [ref.tiktok_id or ref.short_code or "" for ref in found.values()]
    others = [r for r in readings if r.part and not names[0].startswith(r.part)]
    if len(found) > 1 or others:
        raise AddressError(f"Post URL holds more than one link to a post, keep one: {shown(typed)}")
    return next(iter(found.values()))


def _read(link: str, now: datetime | None) -> _Reading:
    split = _split(link)
    if split is None:
        if (wrapper := wrapping_host(link)) is not None:
            return _Reading(fault=_wrapped(wrapper, link), part=wrapped_id(link), wrapped=True)
        return _Reading()
    host, path = split
    segments = [segment for segment in path.split("/") if segment]
    if len(segments) > 1 and _LANGUAGE.match(segments[0]):
        del segments[0]
    return _post(segments, host, link, now)


def _wrapped(host: str, link: str) -> str:
    return (
        f"Post URL is wrapped in a link of {host[-_SHOWN_HOST:]}: open it, then copy the post's "
        f"own link from TikTok: {shown(link)}"
    )


def _split(link: str) -> tuple[str, str] | None:
    """Host in lower case and decoded path, None where the host is not TikTok's.

    By hand: urlsplit drops tabs and line breaks.
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


def _post(segments: list[str], host: str, link: str, now: datetime | None) -> _Reading:
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
            return _Reading(PostRef(short_code=known))
        fault = f"Post URL is a short link that is not complete: {shown(link)}"
        return _Reading(fault=fault, part=code if code.isalnum() else None)
    return _Reading(fault=f"Post URL is {_page(user, lowered)}, not a post: {shown(link)}")


def _by_id(
    segment: Sequence[str],
    link: str,
    now: datetime | None,
    user: str | None = None,
    is_photo: bool = False,
) -> _Reading:
    digits = match[0] if segment and (match := _DIGITS.match(segment[0])) else ""
    if not segment:
        fault = f"Post URL is not complete: its post number is missing. {_COPY_AGAIN}"
        return _Reading(fault=f"{fault}: {shown(link)}", part="")
    why = fault_of_id(digits, now) if digits else "no digits"
    if why is None:
        return _Reading(PostRef(tiktok_id=digits, user=user, is_photo=is_photo))
    is_cut = digits and is_cut_id(digits)
    start = "is not complete: it has" if is_cut else "has"
    fault = f"Post URL {start} a post number that TikTok cannot have ({why}). {_COPY_AGAIN}"
    return _Reading(fault=f"{fault}: {shown(link)}", part=digits or None)


def _code_segment(segments: list[str], host: str) -> str | None:
    """The part of a short link that is its code, "" where that is missing."""
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
