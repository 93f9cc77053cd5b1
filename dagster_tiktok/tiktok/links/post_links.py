"""From what a person pasted to the post that is meant.

Nothing here touches the network. The text is hostile until it has passed: only its id or its
short code goes on, never its host, so no cell can decide what is requested.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from dagster_tiktok.text import printable, quoted
from dagster_tiktok.tiktok.links.cell_links import find_links
from dagster_tiktok.tiktok.links.one_link import Reading, read_link
from dagster_tiktok.tiktok.links.post_ids import find_id_fault, is_tiktok_id
from dagster_tiktok.tiktok.links.post_refs import (
    PostRef,
    PostUrlError,
    canonical_url,
    is_account,
    says_photo,
)
from dagster_tiktok.tiktok.links.spellings import without_breaks
from dagster_tiktok.tiktok.links.typos import mistyped_beginning

__all__ = [
    "MAX_URL_CHARACTERS",
    "PostRef",
    "PostUrlError",
    "canonical_url",
    "is_account",
    "is_tiktok_id",
    "parse_post_link",
    "parse_url",
    "says_photo",
]

MAX_URL_CHARACTERS = 2048
"""Share links carry up to about 1,000 characters of tracking; a longer cell is something else."""

_NOT_TIKTOK = "Post URL is not a TikTok address"
_ENCODED_TWICE = re.compile(r"(?i)https?%25")

# How nearly every address looks. What it matches, the long way below reads in the same way.
_PLAIN = re.compile(
    r"https://www\.tiktok\.com/@([A-Za-z0-9_.-]{1,64})/(video|photo)/([1-9][0-9]{18})"
    r"(?:\?[A-Za-z0-9_=&.-]*)?\Z"
)
_ABSOLUTE = re.compile(r"(?i)https?://")


def parse_post_link(text: str, *, now: datetime | None = None) -> PostRef:
    """The post that `text`, the cell as typed, points to.

    The cell may hold more than the link: brackets, a share text, links that name no post. One link
    that names a post, in however many copies, is unambiguous.

    Arguments:
        now: aware; no post is younger. The machine's clock by default.

    Raises:
        PostUrlError: with a message for the VA who typed it.
    """
    if len(text) <= MAX_URL_CHARACTERS and (plain := _PLAIN.match(text)):
        if find_id_fault(plain[3], now) is None:
            is_photo = plain[2] == "photo" or says_photo(text)
            return PostRef(tiktok_id=plain[3], user=plain[1], is_photo=is_photo)
    elif len(text) > MAX_URL_CHARACTERS:
        raise PostUrlError(
            f"Post URL is not an address: it has {len(text)} characters, "
            f"at most {MAX_URL_CHARACTERS} are read"
        )
    typed = printable(text).strip()
    if not typed:
        raise PostUrlError("Post URL is empty")
    readings = [read_link(link, now) for link in find_links(text)]
    if not any(reading.ref for reading in readings):
        # Mail programs and small cells break a link into lines. An id tells by itself whether it
        # is one; a code does not, so nothing is put together for it.
        joined = [read_link(link, now) for link in find_links(without_breaks(text))]
        if any(reading.ref and reading.ref.tiktok_id for reading in joined):
            readings = joined
    return _the_one(typed, readings)


def parse_url(url: str, *, now: datetime | None = None) -> PostRef:
    """The post that a URL of TikTok's own names, a redirect's target for one: as it is, whole.

    Arguments:
        now: as of `parse_post_link`.

    Raises:
        PostUrlError: it names no post, or is no `http(s)` URL.
    """
    reading = read_link(url, now) if _ABSOLUTE.match(url) else Reading()
    return _the_one(url, [reading])


def _the_one(typed: str, readings: Sequence[Reading]) -> PostRef:
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
                f"TikTok: {quoted(typed)}"
            )
        if not fault and (mistyped := mistyped_beginning(typed)) is not None:
            fault = (
                f"{_NOT_TIKTOK}: its beginning is mistyped ({mistyped}). "
                f"Copy the link again: {quoted(typed)}"
            )
        raise PostUrlError(fault or f"{_NOT_TIKTOK}: {quoted(typed)}")
    names = [ref.tiktok_id or ref.short_code or "" for ref in found.values()]
    others = [r for r in readings if r.part and not names[0].startswith(r.part)]
    if len(found) > 1 or others:
        raise PostUrlError(
            f"Post URL holds more than one link to a post, keep one: {quoted(typed)}"
        )
    return next(iter(found.values()))
