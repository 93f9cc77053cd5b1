"""Finds the post that a VA means by the text of a cell.

Nothing here uses the network. The text is hostile: only an id or a short code passes, never a host,
so no cell decides which host we request.
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
"""Share links have up to about 1,000 characters of tracking; a longer cell is something else."""

_NOT_TIKTOK = "Post URL is not a TikTok link"
_ENCODED_TWICE = re.compile(r"(?i)https?%25")

# The fast path, for nearly every URL. The long way gives the same result.
_PLAIN = re.compile(
    r"https://www\.tiktok\.com/@([A-Za-z0-9_.-]{1,64})/(video|photo)/([1-9][0-9]{18})"
    r"(?:\?[A-Za-z0-9_=&.-]*)?\Z"
)
_ABSOLUTE = re.compile(r"(?i)https?://")


def parse_post_link(text: str, *, now: datetime | None = None) -> PostRef:
    """The post that `text`, the cell as typed, points to.

    The cell may contain more than the link: brackets, a share text, links that name no post. One
    link to a post is unambiguous, and so are several copies of it.

    Arguments:
        now: aware; no post can be newer. The machine's clock by default.

    Raises:
        PostUrlError: with a message for the VA.
    """
    if len(text) <= MAX_URL_CHARACTERS and (plain := _PLAIN.match(text)):
        if find_id_fault(plain[3], now) is None:
            is_photo = plain[2] == "photo" or says_photo(text)
            return PostRef(tiktok_id=plain[3], user=plain[1], is_photo=is_photo)
    elif len(text) > MAX_URL_CHARACTERS:
        raise PostUrlError(
            f"Post URL is too long to be a link: it has {len(text)} characters, "
            f"the limit is {MAX_URL_CHARACTERS}"
        )
    typed = printable(text).strip()
    if not typed:
        raise PostUrlError("Post URL is empty")
    readings = [read_link(link, now) for link in find_links(text)]
    if not any(reading.ref for reading in readings):
        # Mail programs and narrow cells break a link into lines. Join them only if an id comes out:
        # we can check an id, but not a code.
        joined = [read_link(link, now) for link in find_links(without_breaks(text))]
        if any(reading.ref and reading.ref.tiktok_id for reading in joined):
            readings = joined
    return _pick_post(typed, readings)


def parse_url(url: str, *, now: datetime | None = None) -> PostRef:
    """The post that a complete URL of TikTok's names, such as the target of a redirect.

    Arguments:
        now: as of `parse_post_link`.

    Raises:
        PostUrlError: it names no post, or is no `http(s)` URL.
    """
    reading = read_link(url, now) if _ABSOLUTE.match(url) else Reading()
    return _pick_post(url, [reading])


def _pick_post(typed: str, readings: Sequence[Reading]) -> PostRef:
    found: dict[str, PostRef] = {}
    for reading in readings:
        if (ref := reading.ref) is not None:
            known = found.get(ref.key, ref)
            is_photo = ref.is_photo or known.is_photo
            found[ref.key] = replace(known, user=known.user or ref.user, is_photo=is_photo)
    if not found:
        # The most useful one first: a truncated link, a wrapped one, another page, another site.
        faults = sorted(readings, key=lambda r: (r.part is None, r.wrapped, not r.fault))
        fault = faults[0].fault if faults else ""
        if not fault and _ENCODED_TWICE.search(typed):
            fault = (
                "Post URL is encoded more than once: open the post, then copy its link from "
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
        raise PostUrlError(f"Post URL has links to more than one post: keep one: {quoted(typed)}")
    return next(iter(found.values()))
