"""Pages of the shape that TikTok serves, built in code."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timezone
from typing import Any

from dagster_tiktok.models import Post
from dagster_tiktok.tiktok.pages.post_page import parse_post_page

POST_ID = "7681723633164717325"
VIDEO_SCOPE_NAME = "webapp.video-detail"
MOBILE_SCOPE_NAME = "webapp.reflow.video.detail"
NOW = datetime(2026, 9, 22, 12, tzinfo=timezone.utc)
A, B = "6d5fe602159d40809b622acba205baae", "2ffc9e77b89b4f0b951c59dbb3320cea"

# What stands in every real page: words that must not be taken for a rejection.
_TRANSLATIONS = (
    "<script>var i18n={'a':'Video unavailable','b':'captcha-init','c':'Please wait...',"
    "'d':'SlardarWAF'};document.getElementById(\"__UNIVERSAL_DATA_FOR_REHYDRATION__\")</script>"
)


def image(key: str, *, width: int = 1080, height: int = 1436, expires: int = 1790262000) -> Any:
    path = f"tos-maliva-i-photomode-us/{key}~tplv-photomode-image.jpeg"
    return {
        "imageHeight": height,
        "imageWidth": width,
        "imageURL": {
            "urlList": [
                f"https://p{host}-common-sign.tiktokcdn-eu.com/{path}"
                f"?dr=10375&x-expires={expires}&x-signature=s{host}%3D"
                for host in (16, 19)
            ]
        },
    }


def item(**changes: Any) -> dict[str, Any]:
    """A video's `itemStruct`; `changes` with the value None take a field away."""
    data: dict[str, Any] = {
        "author": {"id": "1", "nickname": "NASA", "uniqueId": "nasa", "verified": True},
        "challenges": [],
        "createTime": "1788540697",
        "desc": "Roman\u2019s first images \U0001f92f",
        "id": POST_ID,
        "isAd": False,
        "music": {"id": "7420633921946782469", "title": "original sound", "authorName": "X"},
        "stats": {
            "collectCount": "940",
            "commentCount": 264,
            "diggCount": 13200,
            "playCount": 254100,
            "shareCount": 385,
        },
        "statsV2": {
            "collectCount": "940",
            "commentCount": "264",
            "diggCount": "13217",
            "playCount": "254088",
            "repostCount": "0",
            "shareCount": "385",
        },
        "textExtra": [],
        "video": {"id": POST_ID, "duration": 25, "playAddr": "https://v16.tiktok.com/x"},
    }
    data.update(copy.deepcopy(changes))
    return {name: value for name, value in data.items() if value is not None}


def carousel(*keys: str, **changes: Any) -> dict[str, Any]:
    cover = image("c" * 32, width=1203, height=1602)
    post = {"images": [image(key) for key in keys], "cover": cover, "title": "A title"}
    return item(imagePost=post, video={"playAddr": "", "duration": 0}, **changes)


def post_scope(
    struct: dict[str, Any] | None, *, code: Any = 0, message: str = "", name: str = VIDEO_SCOPE_NAME
) -> dict[str, Any]:
    detail: dict[str, Any] = {"statusCode": code, "statusMsg": message}
    if struct is not None:
        detail["itemInfo"] = {"itemStruct": struct}
    return {"webapp.app-context": {"language": "en"}, name: detail}


def profile_scope(account: str = "nasa", followers: Any = "1234567", **changes: Any) -> Any:
    return {
        "webapp.user-detail": {
            "userInfo": {
                "user": {"uniqueId": account, "verified": True},
                "stats": {"followerCount": 1200000, "heartCount": -1625611536},
                "statsV2": {"followerCount": followers},
            },
            "statusCode": 0,
            "statusMsg": "",
            **changes,
        }
    }


def page(scope: Any, *, filler_bytes: int = 0, indent: int | None = None) -> bytes:
    """The whole page. `filler_bytes` of other scripts stand before and after the data."""
    data = json.dumps({"__DEFAULT_SCOPE__": scope}, indent=indent).replace("/", "\\u002F")
    filler = f"<script>{'x' * (filler_bytes // 2)}</script>"
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>{_TRANSLATIONS}{filler}'
        f'<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__" type="application/json">{data}</script>'
        f"{filler}</body></html>"
    ).encode()


def post_page(
    struct: dict[str, Any] | None = None, *, filler_bytes: int = 0, **status: Any
) -> bytes:
    scope = post_scope(item() if struct is None else struct, **status)
    return page(scope, filler_bytes=filler_bytes)


CHALLENGE_PAGE = (
    "<!DOCTYPE html><html><head><title>x</title></head><body><p>Please wait...</p>"
    '<p id="cs" class="abc"></p><p id="wci"></p><p id="rci"></p><p id="rs"></p>'
    f"<script>/* SlardarWAF */{'y' * 1000}</script></body></html>"
).encode()
CAPTCHA_PAGE = f'<html><script id="captcha-init">{"z" * 5600}</script></html>'.encode()
STUB_PAGE = b"<html>" + b"q" * 627 + b"</html>"


def parse(html: bytes | str) -> Post:
    """The post POST_ID, read at NOW."""
    return parse_post_page(html, expected_id=POST_ID, scraped_at=NOW)
