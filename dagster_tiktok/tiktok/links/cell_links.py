"""Finds the links in the text of a cell, with any text around them.

VAs paste share texts, notes, Markdown, HTML and links from chat programs. A link ends where a
post's URL can't continue: at white space, quotes, brackets and the punctuation of any script.
What a link means is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dagster_tiktok.tiktok.links.spellings import LABELS as _LABELS
from dagster_tiktok.tiktok.links.spellings import OTHER_SCHEME, as_in_a_url

# Python's \s has the no-break and ideographic spaces. `'`, `()`, `[]`, `,` and `;` are allowed in
# a URL's query; nothing that names a post follows them.
_PIECE = re.compile(
    r"[^\s\"'`<>()\[\]{}|,;^"
    r"\u00ab\u00bb\u2018-\u201f\u2039\u203a\u2022\u2026\u00b7"  # quotes, bullets, ellipsis
    r"\u2190-\u21ff\u2500-\u27bf"  # arrows, boxes, dingbats
    r"\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # CJK, fullwidth
    r"\u060c\u061b\u061f\u0964]+"  # Arabic comma, semicolon, question mark; danda
)
_SCHEME = re.compile(r"(?i)https?://")
# TikTok's host without a scheme. Not inside a name, a path, a query or user information.
_BARE = re.compile(
    rf"(?i)(?P<before>)(?<![a-z0-9@/\\.#=&?%-])(?:{_LABELS}){{0,4}}tiktokv?\.com(?![a-z0-9-])"
)
# After a name and `=` (`href=www.tiktok.com/…`), if no other link begins before it.
_LABELLED = re.compile(
    rf"(?i)\A(?P<before>[\w-]{{0,30}}[=@/]{{1,3}})(?:{_LABELS}){{0,4}}tiktokv?\.com(?![a-z0-9-])"
)
_RELATIVE = re.compile(rf"(?i)//(?=(?:{_LABELS}){{0,4}}tiktokv?\.com(?![a-z0-9-]))")
_OPENING = "\"'`<([{\u00ab\u2018\u201c\u2039"
_HOST_BEFORE = re.compile(rf"(?i)(?://)?{_LABELS}{{1,6}}[a-z]{{2,24}}\.?(?::[0-9]+)?[/?#]")
_TIKTOK_AFTER_SCHEME = re.compile(rf"(?i)https?://(?:{_LABELS}){{0,4}}tiktokv?\.com(?![a-z0-9.@-])")
# A link after one of these characters is part of the link before it.
_JOINTS_OF_TIKTOK, _JOINTS = "=&", "=&/?_#:!"
_SENTENCE_END = ".:!?*"
_EMPHASIS = "_~"


def find_links(text: str) -> list[str]:
    """The links in `text`, in order, normalized to the characters of a URL.

    A link begins with `http://` or `https://`, or with TikTok's host name. A link inside the path
    or query of another one is part of that one.

    Arguments:
        text: a cell's text, of limited length.
    """
    plain = as_in_a_url(text)
    pieces = [match for match in _PIECE.finditer(plain) if not _has_other_scheme(plain, match)]
    return [link for match in pieces for link in _split_links(match)]


def _has_other_scheme(text: str, piece: re.Match[str]) -> bool:
    """Whether the word around the piece begins with another scheme."""
    start = max(text.rfind(space, 0, piece.start()) for space in " \t\r\n") + 1
    return OTHER_SCHEME.search(text, start, piece.start()) is not None


def _split_links(piece: re.Match[str]) -> Iterator[str]:
    text = piece[0]
    before = piece.string[piece.start() - 1] if piece.start() else " "
    starts = [match.start() for match in _SCHEME.finditer(text)]
    head = text[: starts[0]] if starts else text
    if OTHER_SCHEME.search(head):
        return
    is_tiktok = _BARE.match(head.removeprefix("//"))
    joints = _JOINTS_OF_TIKTOK if is_tiktok else _JOINTS
    if starts and head and head[-1] in joints and _HOST_BEFORE.match(head):
        yield text  # `host.example/redirect?to=https://…`
        return
    if (bare := _bare_start(head, before)) is not None:
        yield _without_emphasis(head, bare)
    elif _HOST_BEFORE.match(head):
        yield head.rstrip(_SENTENCE_END)  # of another site, without a scheme
    end = 0
    for number, start in enumerate(starts):
        if start < end:
            continue
        joints = _JOINTS_OF_TIKTOK if _TIKTOK_AFTER_SCHEME.match(text, start) else _JOINTS
        further = (at for at in starts[number + 1 :] if text[at - 1] not in joints)
        end = next(further, len(text))
        yield _without_emphasis(text[:end], start)


def _bare_start(head: str, before: str) -> int | None:
    if (before.isspace() or before in _OPENING) and _RELATIVE.match(head):
        return 0
    bare = _BARE.search(head) or _LABELLED.search(head)
    return bare.end("before") if bare else None


def _without_emphasis(text: str, start: int) -> str:
    link = text[start:].rstrip(_SENTENCE_END)
    mark = text[start - 1 : start]
    if mark and mark in _EMPHASIS:
        link = link.rstrip(mark + _SENTENCE_END)
    return link
