from __future__ import annotations

import pytest

from dagster_tiktok.tiktok.pages.captions import hashtags, mentions
from dagster_tiktok.tiktok.pages.shapes import TextExtraShape


def extra(**fields: object) -> TextExtraShape:
    return TextExtraShape.model_validate({"type": 1, **fields})


def extra_at(caption: str, tag: str, name: str | None = None) -> TextExtraShape:
    """The entry of `tag` with the offsets that TikTok gives: in UTF-16 units."""
    start = len(caption[: caption.index(tag)].encode("utf-16-le")) // 2
    end = start + len(tag.encode("utf-16-le")) // 2
    return extra(start=start, end=end, hashtagName=tag[1:].lower() if name is None else name)


def test_offsets_count_emoji_before_tags() -> None:
    caption = "\U0001f92f\U0001f52d #Love\u2764\ufe0f \U0001f680 #NASA and #more"
    # The entry's tag is longer than what the caption's own pattern would find there.
    extras = [extra_at(caption, "#NASA"), extra_at(caption, "#Love\u2764\ufe0f")]
    assert hashtags(caption, extras, []) == ("love\u2764\ufe0f", "nasa", "more")


def test_entry_without_a_name_takes_it_from_the_caption() -> None:
    caption = "\U0001f92f #NASA"
    assert hashtags(caption, [extra_at(caption, "#NASA", name="")], []) == ("nasa",)


def test_partial_lists_merge_in_the_order_of_the_caption() -> None:
    caption = "#One two #three #ONE#four"
    tags = hashtags(caption, [extra_at(caption, "#three")], ["four", "Five", "one"])
    assert tags == ("one", "three", "four", "five")


@pytest.mark.parametrize(
    "junk",
    [
        {"hashtagName": "", "start": 0, "end": 0},
        {"hashtagName": "", "start": 0, "end": 3},
        {"hashtagName": "", "start": -4, "end": 9000},
        {"hashtagName": "two words", "start": 5, "end": 2},
        {"hashtagName": None, "start": None},
        {"hashtagName": "x" * 200, "start": "a", "end": []},
        {"type": 0, "hashtagName": "mention"},
        {"type": None, "hashtagName": "nothing"},
    ],
)
def test_junk_entries_change_nothing(junk: dict[str, object]) -> None:
    assert hashtags("see #tag", [extra(**junk)], ["", " "]) == ("tag",)


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("#fyp\U0001f525#viral!", ("fyp", "viral")),
        ("#ความรัก #नमस्ते #حب", ("ความรัก", "नमस्ते", "حب")),
        ("\uff03日本 \uff03東京", ("日本", "東京")),
        ("# #! ## #_ #2024", ("_", "2024")),
        ("", ()),
    ],
)
def test_tags_of_a_caption_without_lists(caption: str, tags: tuple[str, ...]) -> None:
    assert hashtags(caption, [], []) == tags


def test_mentions_are_unique_account_names() -> None:
    caption = "\U0001f92f by @Our Agency with @esa. (mail a@b.example) @@no"
    extras = [
        extra(type="0", userUniqueId="late"),
        extra_at(caption, "@Our Agency").model_copy(
            update={"type": 0, "hashtag_name": "", "user_unique_id": "nasa"}
        ),
        extra(type=0, userUniqueId="nasa"),
        extra(type=0),
        extra(type=1, userUniqueId="no"),
    ]
    assert mentions(caption, extras) == ("nasa", "esa", "late")
