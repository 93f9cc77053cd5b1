"""The parts of a TikTok page's JSON that we read.

Only the outermost object is required, and a value of an unexpected type counts as missing: TikTok
sends counts as numbers in one place and as strings in the next, and omits fields. Validation never
fails: the parsers decide what they can't do without.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from dagster_tiktok.tiktok.links.post_links import is_account

MAX_CAPTION_CHARACTERS = 10_000
"""TikTok allows 4,000 today."""
MAX_NAME_CHARACTERS = 300
MAX_URL_CHARACTERS = 4096
MAX_LIST_LENGTH = 200
"""The longest list that we read, the slides of a post, has 35 entries."""
MAX_COUNT = 2**53 - 1
"""The largest integer that JSON carries exactly."""

_MAX_NUMBER = 2**63 - 1
_MAX_NUMBER_DIGITS = 19
_MAX_ID_DIGITS = 20
_MIN_USER_ID_DIGITS = 15
_MAX_PIXELS = 100_000
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Lone surrogates and NUL, which UTF-8 and PostgreSQL can't store; control characters other than tab
# and line feed, which terminals execute; and marks that change the direction of the text. The
# joiners and variation selectors of emoji stay.
_UNWANTED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

T = TypeVar("T")


def clean(text: str) -> str:
    """`text` without characters that can't be stored or are not safe to display."""
    return _UNWANTED.sub("", text)


def _number(value: Any) -> int | None:
    if isinstance(value, str) and len(value) <= _MAX_NUMBER_DIGITS + 1:
        digits = value.removeprefix("-")
        return int(value) if digits.isascii() and digits.isdigit() else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if abs(value) <= _MAX_NUMBER else None


def _count(value: Any) -> int | None:
    # TikTok's own counters overflow 32 bits: a negative count is missing.
    number = _number(value)
    return number if number is not None and 0 <= number <= MAX_COUNT else None


def _pixels(value: Any) -> int | None:
    number = _number(value)
    return number if number is not None and 0 < number <= _MAX_PIXELS else None


def _id(value: Any) -> str | None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_ID_DIGITS:
        return None
    return text if text.isascii() and text.isdigit() else None


def _caption(value: Any) -> str:
    # NUL replaces a lone surrogate, so that offsets stay right until `clean` drops it.
    text = value[:MAX_CAPTION_CHARACTERS] if isinstance(value, str) else ""
    return _LONE_SURROGATE.sub("\0", text)


def _name(value: Any) -> str:
    return clean(value[:MAX_NAME_CHARACTERS]).strip() if isinstance(value, str) else ""


def _account(value: Any) -> str:
    # A name is part of URLs and messages: we don't repair it.
    return value if isinstance(value, str) and is_account(value) else ""


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) and value else None


def _author(value: Any) -> dict[str, Any] | None:
    # Some pages have the account's name or number in place of the object.
    if not isinstance(value, str):
        return _object(value)
    is_number = len(value) >= _MIN_USER_ID_DIGITS and _id(value) is not None
    return None if is_number else {"uniqueId": value}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in _in_order(value) if entry]


def _in_order(value: Any) -> list[dict[str, Any]]:
    """For lists whose positions matter: an entry that is no object becomes an empty one."""
    entries = value[:MAX_LIST_LENGTH] if isinstance(value, list) else []
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def _url(value: Any) -> str:
    is_one = (
        isinstance(value, str)
        and len(value) <= MAX_URL_CHARACTERS
        and value.startswith(("https://", "http://"))
        and value.isascii()
        and value.isprintable()
    )
    return value if is_one else ""


def _urls(value: Any) -> list[str]:
    entries = value[:MAX_LIST_LENGTH] if isinstance(value, list) else []
    return [entry for entry in entries if _url(entry)]


Number = Annotated[int | None, BeforeValidator(_number)]
Count = Annotated[int | None, BeforeValidator(_count)]
Pixels = Annotated[int | None, BeforeValidator(_pixels)]
Id = Annotated[str | None, BeforeValidator(_id)]
Caption = Annotated[str, BeforeValidator(_caption)]
Name = Annotated[str, BeforeValidator(_name)]
Account = Annotated[str, BeforeValidator(_account)]
Flag = Annotated[
    bool | None, BeforeValidator(lambda value: value if isinstance(value, bool) else None)
]
IsTrue = Annotated[bool, BeforeValidator(lambda value: value is True)]
IsText = Annotated[
    bool, BeforeValidator(lambda value: isinstance(value, str) and bool(value.strip()))
]
IsList = Annotated[bool, BeforeValidator(lambda value: isinstance(value, list) and bool(value))]
Url = Annotated[str, BeforeValidator(_url)]
Urls = Annotated[tuple[str, ...], BeforeValidator(_urls)]
Maybe = Annotated[T | None, BeforeValidator(_object)]
Many = Annotated[tuple[T, ...], BeforeValidator(_objects)]
InOrder = Annotated[tuple[T, ...], BeforeValidator(_in_order)]


class PageShape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class StatsShape(PageShape):
    play_count: Count = None
    digg_count: Count = None
    comment_count: Count = None
    share_count: Count = None
    collect_count: Count = None
    follower_count: Count = None
    # Of an account; they tell a new account from a blank one.
    video_count: Count = None
    heart_count: Count = None

    @property
    def is_blank(self) -> bool:
        """No count is above zero."""
        return not any(count for _, count in self)


class VideoShape(PageShape):
    """Carousels have it too, without a file and without a duration."""

    play_addr: IsText = False
    duration: Number = None
    bitrate_info: IsList = False

    @property
    def is_film(self) -> bool:
        return self.play_addr or self.bitrate_info or bool(self.duration)


class AuthorShape(PageShape):
    unique_id: Account = ""
    verified: Flag = None


class MusicShape(PageShape):
    id: Id = None
    title: Name = ""


class TextExtraShape(PageShape):
    """A hashtag (`type` 1) or a mention (0). `start` and `end` count UTF-16 units."""

    type: Number = None
    hashtag_name: Name = ""
    user_unique_id: Account = ""
    start: Number = None
    end: Number = None


class ChallengeShape(PageShape):
    title: Name = ""


class ImageUrlShape(PageShape):
    url_list: Urls = ()


class ImageShape(PageShape):
    image_url: Maybe[ImageUrlShape] = Field(None, alias="imageURL")
    image_width: Pixels = None
    image_height: Pixels = None


class ImagePostShape(PageShape):
    title: Caption = ""
    """The headline above the caption."""
    images: InOrder[ImageShape] = ()


class ItemShape(PageShape):
    id: Id = None
    create_time: Number = None
    desc: Caption = ""
    """As TikTok sent it, because of the offsets in `text_extra`. `clean` it before you use it."""
    author: Annotated[AuthorShape | None, BeforeValidator(_author)] = None
    stats: Maybe[StatsShape] = None
    stats_v2: Maybe[StatsShape] = Field(None, alias="statsV2")
    author_stats: Maybe[StatsShape] = None
    author_stats_v2: Maybe[StatsShape] = Field(None, alias="authorStatsV2")
    music: Maybe[MusicShape] = None
    challenges: Many[ChallengeShape] = ()
    text_extra: Many[TextExtraShape] = ()
    image_post: Maybe[ImagePostShape] = None
    video: Maybe[VideoShape] = None
    is_content_classified: IsTrue = False
    secret: IsTrue = False
    private_item: IsTrue = False

    @property
    def has_film(self) -> bool:
        return self.video is not None and self.video.is_film

    @property
    def lacks_media(self) -> bool:
        """Neither slides nor a film, though the item has a field for one of them."""
        is_named = bool({"video", "image_post"} & self.model_fields_set)
        return is_named and self.image_post is None and not self.has_film


class ItemInfoShape(PageShape):
    item_struct: Maybe[ItemShape] = None


class DetailShape(PageShape):
    """`webapp.video-detail`, or `webapp.reflow.video.detail` on pages for mobile browsers."""

    item_info: Maybe[ItemInfoShape] = None
    status_code: Number = None
    status_msg: Name = ""

    @property
    def item(self) -> ItemShape | None:
        return self.item_info.item_struct if self.item_info else None


class UserInfoShape(PageShape):
    user: Maybe[AuthorShape] = None
    stats: Maybe[StatsShape] = None
    stats_v2: Maybe[StatsShape] = Field(None, alias="statsV2")


class UserDetailShape(PageShape):
    """`webapp.user-detail`."""

    user_info: Maybe[UserInfoShape] = None
    status_code: Number = None
    status_msg: Name = ""


class SeoShape(PageShape):
    """`seo.abtest`."""

    canonical: Url = ""


class OEmbedShape(PageShape):
    """The response of `/oembed`, which has snake_case names."""

    model_config = ConfigDict(alias_generator=None)

    title: Caption = ""
    author_unique_id: Account = ""
    author_url: Url = ""
    embed_product_id: Id = None
    embed_type: Name = ""


class EmbedItemShape(PageShape):
    id: Id = None
    text: Caption = ""


class EmbedImagesShape(PageShape):
    display_images: Many[PageShape] = ()


class EmbedVideoShape(PageShape):
    """`videoData` of the embed page. Its counts are left out on purpose, see `previews`."""

    item_infos: Maybe[EmbedItemShape] = None
    author_infos: Maybe[AuthorShape] = None
    image_post_info: Maybe[EmbedImagesShape] = None


class EmbedShape(PageShape):
    """One entry of `source.data` of the embed page."""

    video_data: Maybe[EmbedVideoShape] = None
