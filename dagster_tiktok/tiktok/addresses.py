"""From what a person pasted to the post that is meant.

Nothing here touches the network. The text is hostile until it has passed: only its id or its
short code goes on, never its host, so no cell can decide what is requested.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from dagster_tiktok.text import printable

MAX_ADDRESS_CHARACTERS = 2048
"""Share links carry up to about 1,000 characters of tracking; a longer cell is something else."""

_SHOWN_CHARACTERS = 60
_QUOTES = "\"'<>\u201c\u201d\u2018\u2019"
_PUNCTUATION = ".,;:!)]}"
"""Of the sentence or the list that a link was copied from; no address of a post ends with it."""

_NOT_TIKTOK = "Post URL is not a TikTok address"

# Ids are 64-bit numbers whose upper 32 bits are the upload time in unix seconds. 19 digits since
# 2014; shorter ones come from older services, and 20 digits are reached in 2043. Fifteen digits
# are far below the oldest known id and still too long for a phone number or a count.
_ID = re.compile(r"[1-9][0-9]{14,19}\Z")
_MAX_ID = 2**64 - 1
_SHORT_CODE = re.compile(r"[A-Za-z0-9]{5,20}\Z")
_USER = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")

# How nearly every address looks. What it matches, the long way below reads in the same way.
_PLAIN = re.compile(
    r"https://www\.tiktok\.com/@([A-Za-z0-9_.-]{1,64})/(?:video|photo)/([1-9][0-9]{14,18})"
    r"(?:\?[A-Za-z0-9_=&.-]*)?\Z"
)
_SCHEME = re.compile(r"(?i)([a-z][a-z0-9+.-]{0,20}:)?//")
# Letters, digits and inner hyphens; `xn--` names (punycode) are never TikTok's.
_AUTHORITY = re.compile(
    r"(?i)(?P<host>(?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,10})"
    r"\.?(?::(?:80|443))?\Z"
)
_QUERY = re.compile(r"(?i)[?#&]|%3f|%23")
_SEPARATORS = re.compile(r"[\s,;|]+")
_LINK_START = re.compile(r"(?i)(?:https?:)?//|(?:[a-z0-9-]+\.)?tiktokv?\.com\b")
# An address that is a parameter's value (`?url=https://…`) is not a second link.
_GLUED_LINK = re.compile(r"(?i)(?<![=&])https?://")
_DIGITS_FIRST = re.compile(r"[0-9]+")

_POST_HOSTS = ("tiktok.com", "tiktokv.com")
_SHORT_HOSTS = ("vm.tiktok.com", "vt.tiktok.com")
_POST_PREFIXES = (
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
    """The text names no post. The message is the sentence that a VA reads."""


@dataclass(frozen=True)
class PostRef:
    """A post as an address names it: by its id, or by a short link's code until it is resolved.

    A resolved reference keeps its code. `user` is only what the address said: TikTok does not
    check it.
    """

    tiktok_id: str | None = None
    short_code: str | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        if self.tiktok_id is None and self.short_code is None:
            raise ValueError("a PostRef needs an id or a short code")

    @property
    def key(self) -> str:
        """What was asked for: the same before and after the short link is resolved.

        Two keys may lead to one post; after resolution `tiktok_id` tells.
        """
        return f"t/{self.short_code}" if self.short_code else str(self.tiktok_id)


def parse_address(text: str) -> PostRef:
    """The post that `text`, the cell as typed, points to.

    Raises:
        AddressError: with a sentence for the person who typed it.
    """
    if len(text) <= MAX_ADDRESS_CHARACTERS and (plain := _PLAIN.match(text)):
        return PostRef(tiktok_id=plain[2], user=plain[1])
    if len(text) > MAX_ADDRESS_CHARACTERS:
        raise AddressError(
            f"Post URL is not an address: it has {len(text)} characters, "
            f"at most {MAX_ADDRESS_CHARACTERS} are read"
        )
    address = _trimmed(text)
    if not address:
        raise AddressError("Post URL is empty")
    _refuse_several(address)
    host, path, query = _split(address)
    if _GLUED_LINK.search(path) or _GLUED_LINK.search(query):
        raise AddressError(f"Post URL holds more than one link, keep one: {shown(address)}")
    segments = [segment for segment in path.split("/") if segment]
    return _post(segments, host, address)


def is_tiktok_id(text: str) -> bool:
    """Whether `text` can be the id of a post."""
    return _ID.match(text) is not None and int(text) <= _MAX_ID


def is_account(text: str) -> bool:
    """Whether `text` can be the name of an account, without `@`."""
    return _USER.match(text) is not None


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


def _trimmed(text: str) -> str:
    # Chat programs and phones paste invisible characters, quotes or angle brackets around a link.
    start, end = 0, len(text)
    while start < end and _is_wrapping(text[start]):
        start += 1
    while end > start and (_is_wrapping(text[end - 1]) or text[end - 1] in _PUNCTUATION):
        end -= 1
    return text[start:end]


def _is_wrapping(character: str) -> bool:
    return character.isspace() or not character.isprintable() or character in _QUOTES


def _refuse_several(address: str) -> None:
    if not _SEPARATORS.search(address):
        return
    links = [part for part in _SEPARATORS.split(address) if _LINK_START.match(part)]
    if len(links) > 1:
        raise AddressError(f"Post URL holds more than one link, keep one: {shown(address)}")
    if len(links) == 1 and len(address.split()) > 1:
        raise AddressError(f"Post URL holds text besides the link, keep the link: {shown(address)}")


def _split(address: str) -> tuple[str, str, str]:
    """Host in lower case, path, and the rest. By hand: urlsplit drops tabs and line breaks."""
    scheme = _SCHEME.match(address)
    if scheme and (scheme[1] or "https:").lower() not in ("http:", "https:"):
        raise AddressError(f"{_NOT_TIKTOK}: {shown(address)}")
    rest = address[scheme.end() :] if scheme else address
    cut = _QUERY.search(rest)
    located, query = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    authority, _, path = located.partition("/")
    match = _AUTHORITY.match(authority)
    host = match["host"].lower() if match else ""
    if not any(host == known or host.endswith("." + known) for known in _POST_HOSTS):
        raise AddressError(f"{_NOT_TIKTOK}: {shown(address)}")
    return host, path, query


def _post(segments: list[str], host: str, address: str) -> PostRef:
    user = _user(segments[0]) if segments else None
    if user is not None and len(segments) == 3 and segments[1].lower() in ("video", "photo"):
        named = user if is_account(user) else None
        return PostRef(tiktok_id=_id(segments[2], address), user=named)
    lowered = tuple(segment.lower() for segment in segments)
    if lowered[:-1] in _POST_PREFIXES and _DIGITS_FIRST.match(lowered[-1]):
        return PostRef(tiktok_id=_id(lowered[-1].removesuffix(".html"), address))
    code = _short_code(segments, host)
    if code is not None:
        return PostRef(short_code=code)
    raise AddressError(_why_not_a_post(user, lowered, host, address))


def _user(segment: str) -> str | None:
    if segment.startswith("@"):
        return segment[1:]
    return segment[3:] if segment.startswith("%40") else None


def _id(text: str, address: str) -> str:
    if not is_tiktok_id(text):
        raise AddressError(f"Post URL has a post number that TikTok cannot have: {shown(address)}")
    return text


def _short_code(segments: list[str], host: str) -> str | None:
    if len(segments) == 2 and segments[0].lower() == "t" and host.endswith("tiktok.com"):
        code = segments[1]
    elif len(segments) == 1 and host in _SHORT_HOSTS:
        code = segments[0]
    else:
        return None
    return code if _SHORT_CODE.match(code) else None


def _why_not_a_post(user: str | None, lowered: tuple[str, ...], host: str, address: str) -> str:
    if user is not None and len(lowered) > 1 and lowered[1] == "live":
        what = "a live room"
    elif user is not None and len(lowered) > 1 and lowered[1] in ("playlist", "collection"):
        what = "a playlist"
    elif user is not None and (len(lowered) == 1 or lowered[1:] in (("video",), ("photo",))):
        what = "a profile"
    elif (lowered and lowered[0] == "t" and len(lowered) < 3) or (
        host in _SHORT_HOSTS and len(lowered) < 2
    ):
        return f"Post URL is a short link that is not complete: {shown(address)}"
    elif not lowered:
        what = "TikTok's home page"
    else:
        what = _OTHER_PAGES.get(lowered[0], "another page of TikTok")
    return f"Post URL is {what}, not a post: {shown(address)}"
