"""Captions as people write them: emoji before hashtags, scripts of the world, tags glued together.

TikTok marks hashtags and mentions by offsets in UTF-16 code units, in which an emoji counts two:
a reader that slices Python strings with them gets the wrong text, which is why captions here put
emoji first.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

_TAG_OR_MENTION = re.compile(r"#\w+|@[\w.]*\w")


@dataclass(frozen=True)
class Span:
    """A hashtag or mention: offsets in UTF-16 code units, `end` exclusive, the sign included."""

    start: int
    end: int
    kind: Literal["hashtag", "mention"]
    name: str


@dataclass(frozen=True)
class Caption:
    text: str
    spans: tuple[Span, ...]

    @property
    def hashtags(self) -> tuple[str, ...]:
        """Lower case, in order of appearance, each once."""
        return _unique(span.name.lower() for span in self.spans if span.kind == "hashtag")

    @property
    def mentions(self) -> tuple[str, ...]:
        """Account names without the sign, in order of appearance, each once."""
        return _unique(span.name for span in self.spans if span.kind == "mention")


def compose(parts: Sequence[str]) -> Caption:
    """A caption from its parts; a part that starts with `#` or `@` is a hashtag or a mention."""
    spans = []
    position = 0
    for part in parts:
        length = len(part.encode("utf-16-le")) // 2
        if len(part) > 1 and part[0] in "#@":
            kind: Literal["hashtag", "mention"] = "hashtag" if part[0] == "#" else "mention"
            spans.append(Span(position, position + length, kind, part[1:]))
        position += length
    return Caption("".join(parts), tuple(spans))


def parse_caption(text: str) -> Caption:
    """A caption whose tags are found by their signs. For texts of ordinary letters."""
    parts, position = [], 0
    for match in _TAG_OR_MENTION.finditer(text):
        parts += [text[position : match.start()], match.group()]
        position = match.end()
    return compose([*parts, text[position:]])


# The first captions of a world are these, in this order, so that every kind of text is in it.
_SHOWCASE: tuple[tuple[str, ...], ...] = (
    ("🤯🔥 Three outfits, one blazer ", "#OOTD", " ", "#FashionTok", " ", "#fyp"),
    ("Save this for later 📌 ", "#studytok", "#LearnOnTikTok", " with ", "@maya.reads_"),
    ("",),
    ("👩🏽‍🍳 Miso ramen 🍜\nrecipe: slide 3\n\n", "#ramen", " ", "#ラーメン", " ", "#EasyRecipes"),
    ("Как я учу языки ❤️ ", "#котики", "#языки", " ", "#fyp"),
    ("🇮🇳 Diwali decor under ₹500 ✨ ", "#हिन्दी", " ", "#DiwaliVibes"),
    ("no hashtags today, just “quotes” & <tags> / slashes \\ and an & sign",),
    (
        "🎉🎉 ",
        "#fyp",
        " ",
        "#FYP",
        " and ",
        "#Fyp",
        " by ",
        "@studio_nord",
        " ",
        "@maya.reads_",
        " 🙏",
    ),
    ("Été à Paris 🥐 ", "#ÉtéParisien", " ", "#paris2026", " (part 2/3)"),
    ("🧵 thread: what nobody tells you about 9-to-5s… ", "#CareerTok", "🔥", "#worklife", "💼"),
)
_OPENINGS = (
    "POV: you finally tried it", "Things I wish I knew sooner", "Rating every café in town",
    "Day 12 of posting until it works", "How we pack 40 orders an hour", "Soft life, hard days",
    "Three mistakes that cost me a month", "This is your sign", "Room makeover on a budget",
    "Swipe for the last one", "Honest review, not sponsored", "What I eat in a week",
)  # fmt: skip
_EMOJI = ("✨", "🔥", "😭", "🫶🏼", "🤍", "👀", "💅🏽", "🧠", "🌸", "⚡️", "👨‍👩‍👧", "🇵🇭")
_TAGS = (
    "fyp", "foryou", "ForYouPage", "viral", "SmallBusiness", "booktok", "GRWM", "skincare",
    "TravelTok", "mealprep", "gymtok", "HomeDecor", "motivation", "PlantTok", "diy", "cats",
    "storytime", "moneytips", "вайб", "추천", "日常", "niñosfelices", "day_in_my_life", "90s",
)  # fmt: skip


def showcase_size() -> int:
    """How many of a world's first captions are hand-written."""
    return len(_SHOWCASE)


def make_caption(index: int, rng: random.Random, names: Sequence[str]) -> Caption:
    """The caption of a world's post number `index` (from 0). `names` are accounts to mention."""
    if index < len(_SHOWCASE):
        return compose(_SHOWCASE[index])
    parts = [rng.choice(_EMOJI) + " "] if rng.random() < 0.6 else []
    parts.append(rng.choice(_OPENINGS) + " ")
    if rng.random() < 0.25:
        parts += ["@" + rng.choice(names), " "]
    for tag in rng.sample(_TAGS, rng.randint(0, 6)):
        parts += ["#" + tag, " " if rng.random() < 0.9 else rng.choice(_EMOJI)]
    return compose(parts)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
