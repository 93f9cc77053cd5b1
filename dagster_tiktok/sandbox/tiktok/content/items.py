"""Posts and accounts as TikTok's pages write them in JSON: the same names, the same mix of types.

The mix is intended. On a real page `createTime` is a string; `stats` holds integers except
`collectCount`, a string; `statsV2` holds the same counts as strings; on post pages both are
rounded, on profiles `statsV2` is exact; `authorStats` holds integers, and wraps around at 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dagster_tiktok.sandbox.tiktok.content.fake_posts import (
    FakeAccount,
    FakePost,
    FakeSlide,
    rounded,
)
from dagster_tiktok.sandbox.tiktok.content.statuses import STATUSES

Json = dict[str, Any]
ImageUrls = Callable[[FakeSlide], list[str]]
"""Signed URLs of an image, one for each mirror."""


def as_int32(count: int) -> int:
    """A count after the overflow of TikTok's 32-bit counters: from 2,147,483,648 negative."""
    return (count + 2**31) % 2**32 - 2**31


def item_struct(post: FakePost, make_urls: ImageUrls, media_base: str) -> Json:
    """`itemInfo.itemStruct` of a post page.

    Arguments:
        media_base: where the URLs of sound and film point (they return 403: nothing reads them).
    """
    cover = make_urls(post.cover)
    item: Json = {
        "id": post.tiktok_id,
        "desc": post.desc,
        "createTime": str(post.created),
        "scheduleTime": 0,
        "video": _video(post, cover[0], media_base),
        "author": author(post.author, cover[0]),
        "music": _music(post, media_base),
        "challenges": _challenges(post),
        "stats": _stats(post),
        "statsV2": _stats_v2(post),
        "warnInfo": [],
        "originalItem": False,
        "officalItem": False,
        "textExtra": _text_extra(post),
        "secret": False,
        "forFriend": False,
        "digged": False,
        "itemCommentStatus": 0,
        "takeDown": 0,
        "effectStickers": [],
        "privateItem": False,
        "duetEnabled": True,
        "stitchEnabled": True,
        "stickersOnItem": [],
        "shareEnabled": True,
        "comments": [],
        "duetDisplay": 0,
        "stitchDisplay": 0,
        "indexEnabled": True,
        "diversificationLabels": ["Lifestyle", "Culture & Education & Technology"],
        "locationCreated": post.region,
        "suggestedWords": [],
        "contents": [{"desc": post.desc, "textExtra": _text_extra(post)}],
        "collected": False,
        "channelTags": [],
        "item_control": {"can_repost": True},
        "IsAigc": False,
        "AIGCDescription": "",
        "backendSourceEventTracking": "",
        "isAd": False,
        "CategoryType": 107,
    }
    if post.author_stats_on_page:
        item["authorStats"], item["authorStatsV2"] = author_stats(post.author, exact=False)
    if post.slides:
        item["imagePost"] = _image_post(post, make_urls)
    _strip(item, post)
    return item


def author(account: FakeAccount, avatar: str) -> Json:
    """`author` of a post and `userInfo.user` of a profile."""
    return {
        "id": account.user_id,
        "shortId": "",
        "uniqueId": account.unique_id,
        "nickname": account.nickname,
        "avatarLarger": avatar,
        "avatarMedium": avatar,
        "avatarThumb": avatar,
        "signature": account.signature,
        "createTime": int(account.user_id) >> 32,
        "verified": account.verified,
        "secUid": account.sec_uid,
        "ftc": False,
        "relation": 0,
        "openFavorite": False,
        "commentSetting": 0,
        "duetSetting": 0,
        "stitchSetting": 0,
        "privateAccount": account.status == "private_account",
        "secret": False,
        "isADVirtual": False,
        "roomId": "",
    }


def author_stats(account: FakeAccount, *, exact: bool) -> tuple[Json, Json]:
    """`stats` and `statsV2` of an account: integers that wrap around, and strings that do not.

    Arguments:
        exact: as on profiles; else both are rounded as on posts.
    """
    shown = int if exact else rounded
    counts = {
        "followerCount": account.followers,
        "followingCount": account.following,
        "heart": account.hearts,
        "heartCount": account.hearts,
        "videoCount": account.videos,
        "diggCount": 0,
        "friendCount": account.following // 3,
    }
    return (
        {name: as_int32(shown(count)) for name, count in counts.items()},
        {name: str(shown(count)) for name, count in counts.items()},
    )


def _stats(post: FakePost) -> Json:
    m = post.metrics.shown
    return {
        "diggCount": m.likes,
        "shareCount": m.shares,
        "commentCount": m.comments,
        "playCount": m.views,
        "collectCount": str(m.bookmarks),
    }


def _stats_v2(post: FakePost) -> Json:
    m = post.metrics.shown
    return {
        "diggCount": str(m.likes),
        "shareCount": str(m.shares),
        "commentCount": str(m.comments),
        "playCount": str(m.views),
        "collectCount": str(m.bookmarks),
        "repostCount": str(m.reposts),
    }


def _text_extra(post: FakePost) -> list[Json]:
    spans = list(post.caption.spans)
    if post.partial_text_extra and spans and spans[-1].name.isascii():
        spans = spans[:-1]
    extra: list[Json] = []
    for span in spans:
        entry: Json = {"awemeId": "", "start": span.start, "end": span.end, "subType": 0}
        if span.kind == "hashtag":
            entry |= {"type": 1, "hashtagName": span.name.lower(), "hashtagId": "42164"}
            entry |= {"isCommerce": False}
        else:
            entry |= {"type": 0, "hashtagName": "", "userId": "6812345678901234567"}
            entry |= {"userUniqueId": span.name, "secUid": "MS4wLjABAAAAx"}
        extra.append(entry)
    if post.partial_text_extra:
        junk: Json = {"awemeId": "", "start": 0, "end": 0, "hashtagName": "", "type": 1}
        extra += [junk, {**junk, "start": 9000, "end": 9004, "type": 5}]
    return extra


def _challenges(post: FakePost) -> list[Json]:
    names = post.hashtags[:-1] if post.partial_text_extra else post.hashtags
    empty = {"desc": "", "profileLarger": "", "profileMedium": "", "profileThumb": ""}
    return [
        {"id": str(1_600_000 + len(name)), "title": name, **empty, "coverThumb": ""}
        for name in names
    ]


def _music(post: FakePost, media_base: str) -> Json:
    if post.music is None:
        return {}
    music = asdict(post.music)
    return {
        "id": music["music_id"],
        "title": music["title"],
        "playUrl": f"{media_base}/obj/ies-music/{music['music_id']}.mp3",
        "coverLarge": "",
        "coverMedium": "",
        "coverThumb": "",
        "authorName": music["author"],
        "original": music["original"],
        "duration": music["duration"],
        "album": "",
        "private": False,
    }


def _video(post: FakePost, cover: str, media_base: str) -> Json:
    video: Json = {"id": post.tiktok_id, "cover": cover, "originCover": cover, "subtitleInfos": []}
    if post.slides:
        empty = {"playAddr": "", "downloadAddr": "", "dynamicCover": "", "ratio": ""}
        return {**video, **empty, "height": 0, "width": 0, "duration": 0}
    play = f"{media_base}/video/tos/useast5/tos-useast5-ve-0068c003-tx/{post.tiktok_id}/?a=1988"
    return {
        **video,
        "playAddr": play,
        "downloadAddr": play + "&dl=1",
        "dynamicCover": cover,
        "height": 1024,
        "width": 576,
        "duration": 25,
        "ratio": "540p",
        "format": "mp4",
        "bitrate": 1_066_942,
        "definition": "540p",
        "size": "3356735",
        "codecType": "h264",
        "encodedType": "normal",
        "videoQuality": "normal",
        "bitrateInfo": [
            {
                "Bitrate": 1_066_942,
                "QualityType": 20,
                "GearName": "normal_540_0",
                "CodecType": "h264",
                "PlayAddr": {
                    "DataSize": "3356735",
                    "Width": 576,
                    "Height": 1024,
                    "Uri": "v14044g50000",
                    "UrlKey": f"v14044g50000{post.tiktok_id}_h264_540p_1066942",
                    "UrlList": [play],
                },
            }
        ],
    }


def _image_post(post: FakePost, make_urls: ImageUrls) -> Json:
    # The cover is an image of its own; real covers name the mirrors in the other order.
    cover = {
        "imageURL": {"urlList": make_urls(post.cover)[::-1]},
        "imageWidth": post.cover.width,
        "imageHeight": post.cover.height,
    }
    images = [
        {
            "imageURL": {"urlList": make_urls(slide)},
            "imageWidth": slide.width,
            "imageHeight": slide.height,
        }
        for slide in post.slides
    ]
    return {"images": images, "cover": cover, "shareCover": cover, "title": post.title}


def _strip(item: Json, post: FakePost) -> None:
    """Removes what pages leave out: empty fields, and what a wall hides."""
    for name in ("music", "challenges", "textExtra"):
        if not item[name]:
            del item[name]
    status = STATUSES.get(post.status)
    if status is not None and status.shape == "classified":
        item["isContentClassified"] = True
        item.pop("imagePost", None)
        del item["video"]
    if status is not None and status.shape == "login_wall":
        item["createTime"] = "0"
        for name in ("stats", "statsV2", "authorStats", "authorStatsV2"):
            item.pop(name, None)
    for name in post.omit:
        item.pop(name, None)
