"""Hashtags and mentions of a caption.

TikTok lists them beside the caption (`textExtra`, `challenges`), but these lists may be partial or
contain junk, so we merge them with the tags in the caption itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from dagster_tiktok.tiktok.pages.shapes import MAX_CAPTION_CHARACTERS, TextExtraShape, clean

_MENTION, _HASHTAG = 0, 1
_MAX_TAGS = 200
_MAX_TAG_CHARACTERS = 150

# `\w` lacks the combining vowels of Hebrew, Arabic, the Indian scripts, Thai, Lao, Burmese and
# Khmer. Without them these tags would end after the first letter.
_COMBINING = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0eb1-\u0ece\u0f71-\u0f84\u102b-\u1049"
    "\u17b4-\u17d3\u200c\u200d\u3099\u309a"
)
_TAG = re.compile(rf"[#\uff03]([\w{_COMBINING}]+)")
_HANDLE = re.compile(r"(?<![\w.@])@([A-Za-z0-9_.]{2,24})(?![\w@])")
_SIGNS = "#\uff03@"

Span = tuple[int, int]


def with_title(title: str, caption: str) -> str:
    """The caption with its carousel's headline above it, unless it already contains that."""
    headline = " ".join(title.split())
    if not headline or headline.casefold() in " ".join(caption.split()).casefold():
        return caption
    return f"{headline}\n{caption}"[:MAX_CAPTION_CHARACTERS] if caption.strip() else headline


def hashtags(
    caption: str, extras: Sequence[TextExtraShape], challenges: Iterable[str]
) -> tuple[str, ...]:
    """The unique tags in lower case, without `#`: first those in the caption, in its order.

    Arguments:
        caption: as TikTok sent it, because the offsets in `extras` count UTF-16 units.
    """
    listed = [(extra, extra.hashtag_name) for extra in extras if extra.type == _HASHTAG]
    names = [*_merged(caption, listed, _TAG), *challenges]
    tags = (_tag(name) for name in names)
    return tuple(dict.fromkeys(tag for tag in tags if tag))[:_MAX_TAGS]


def mentions(caption: str, extras: Sequence[TextExtraShape]) -> tuple[str, ...]:
    """The unique accounts that the caption mentions, without `@`, in the same order.

    Listed mentions give the account, because the caption may show the nickname.
    """
    listed = [(extra, extra.user_unique_id) for extra in extras if extra.type == _MENTION]
    names = (name.strip(".") for name in _merged(caption, listed, _HANDLE))
    return tuple(dict.fromkeys(name for name in names if name))[:_MAX_TAGS]


def _merged(
    caption: str, listed: Iterable[tuple[TextExtraShape, str]], pattern: re.Pattern[str]
) -> list[str]:
    """First the names in the caption (listed with valid offsets, or not listed), then the rest."""
    units = caption.encode("utf-16-le", "surrogatepass")
    placed: list[tuple[int, str]] = []
    spans: list[Span] = []
    unplaced: list[str] = []
    for extra, name in listed:
        span = _span(extra)
        written = _written(units, span) if span is not None else None
        if span is not None and written is not None and _agree(extra, written, name):
            placed.append((span[0], name or written[1:]))
            spans.append(span)
        else:
            unplaced.append(name)
    spans.sort()
    placed.extend(_unlisted(caption, spans, pattern))
    placed.sort(key=lambda entry: entry[0])
    return [*(name for _, name in placed), *unplaced]


def _tag(name: str) -> str | None:
    tag = clean(name).lstrip("#\uff03").lower()
    return tag if 0 < len(tag) <= _MAX_TAG_CHARACTERS and not re.search(r"\s", tag) else None


def _span(extra: TextExtraShape) -> Span | None:
    start, end = extra.start, extra.end
    return (start, end) if start is not None and end is not None and 0 <= start < end else None


def _written(units: bytes, span: Span) -> str | None:
    """The text at these offsets, with its sign; None if it has no sign."""
    if span[1] * 2 > len(units):
        return None
    text = units[span[0] * 2 : span[1] * 2].decode("utf-16-le", "surrogatepass")
    return text if len(text) > 1 and text[0] in _SIGNS else None


def _agree(extra: TextExtraShape, written: str, name: str) -> bool:
    """Whether the entry fits the text there. A mention may show another name."""
    if extra.type == _MENTION:
        return written[0] == "@" and bool(name)
    return written[0] != "@" and name.lstrip("#").lower() in ("", clean(written[1:]).lower())


def _unlisted(
    caption: str, spans: Sequence[Span], pattern: re.Pattern[str]
) -> Iterator[tuple[int, str]]:
    """Matches outside of the sorted `spans`, with their UTF-16 offsets."""
    offset, seen, current = 0, 0, 0
    for match in pattern.finditer(caption):
        offset += len(caption[seen : match.start()].encode("utf-16-le", "surrogatepass")) // 2
        seen = match.start()
        while current < len(spans) and spans[current][1] <= offset:
            current += 1
        if current == len(spans) or offset < spans[current][0]:
            yield offset, match[1]
