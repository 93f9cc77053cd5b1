"""The pages of the fake TikTok: posts, profiles, embeds, and the oEmbed response.

Pure: the same arguments give the same bytes. Status 200 throughout; what is wrong with a post
stands inside the page.
"""

from __future__ import annotations

import html
import json
import zlib
from typing import Any

from dagster_tiktok.sandbox.tiktok.content import page_filler
from dagster_tiktok.sandbox.tiktok.content.fake_posts import SITE, FakeAccount, FakePost
from dagster_tiktok.sandbox.tiktok.content.items import (
    ImageUrls,
    Json,
    author,
    author_stats,
    item_struct,
)
from dagster_tiktok.sandbox.tiktok.content.statuses import EMBEDDED_STATUSES, STATUSES, PostStatus

ITEM_DOESNT_EXIST = STATUSES["item_doesnt_exist"]
ABSENT_ACCOUNT = STATUSES["absent_account"]
_DETAIL, _MOBILE_DETAIL = "webapp.video-detail", "webapp.reflow.video.detail"


class PageWriter:
    """Writes pages of one server.

    Arguments:
        make_urls: makes the signed URLs of an image.
        media_base: where sound and film are said to be.
    """

    def __init__(self, make_urls: ImageUrls, media_base: str) -> None:
        self._urls = make_urls
        self._media_base = media_base

    def post(
        self,
        tiktok_id: str,
        post: FakePost | None,
        *,
        photo_form: bool = False,
        mobile: bool = False,
        status: PostStatus | None = None,
        with_script: bool = True,
        gzip: bool = False,
    ) -> bytes:
        """A post page.

        Arguments:
            tiktok_id: as requested; also when there is no such post.
            photo_form: requested as `/photo/`, which lacks the post.
            mobile: the scope that mobile user agents get.
            status: overrides the post's own (for faults).
            with_script: False leaves out the rehydration script.
        """
        path = post.path if post else f"/@/video/{tiktok_id}"
        scope: Json = {"seo.abtest": _seo(path)}
        if not photo_form:
            scope[_MOBILE_DETAIL if mobile else _DETAIL] = self._detail(post, status)
        pretty = post is not None and post.pretty_printed
        return _page(scope, tiktok_id, pretty=pretty, with_script=with_script, gzip=gzip)

    def profile(
        self,
        name: str,
        account: FakeAccount | None,
        avatar: FakePost | None,
        *,
        status: PostStatus | None = None,
        with_script: bool = True,
        gzip: bool = False,
    ) -> bytes:
        """A profile page. `avatar` is a post whose cover serves as the account's image."""
        own = STATUSES.get(account.status) if account else ABSENT_ACCOUNT
        status = status or own
        detail: Json = {"statusCode": 0, "statusMsg": ""}
        # A private account's profile shows its counts, an absent or banned one's nothing.
        if account is not None and (status is None or status.name == "private_account"):
            image = self._urls(avatar.cover)[0] if avatar else ""
            stats, stats_v2 = author_stats(account, exact=True)
            user = author(account, image)
            detail["userInfo"] = {"user": user, "stats": stats, "statsV2": stats_v2, "itemList": []}
            detail["shareMeta"] = {"title": f"{account.nickname} on TikTok", "desc": ""}
        if status is not None:
            detail |= {"statusCode": status.code, "statusMsg": status.message}
        scope = {"seo.abtest": _seo(f"/@{name}"), "webapp.user-detail": detail}
        return _page(scope, name, with_script=with_script, gzip=gzip)

    def embed(self, tiktok_id: str, post: FakePost | None) -> bytes:
        """The page behind `/embed/v2/ID`: a script of another name, and counts as integers."""
        key = f"/embed/v2/{tiktok_id}"
        data: Json = {"isError": True, "code": 404}
        if post is not None and post.status in EMBEDDED_STATUSES:
            data = {"isError": False, "videoData": self._embed_data(post)}
        state = json.dumps({"source": {"data": {key: data}, "url": key}}, ensure_ascii=False)
        text = page_filler.escape_json(state)
        return (
            '<!DOCTYPE html><html lang="en"><head><title>TikTok</title></head><body>'
            '<div id="root"></div><script id="__FRONTITY_CONNECT_STATE__" type="application/json">'
            f"{text}</script></body></html>"
        ).encode()

    def oembed(self, post: FakePost) -> Json:
        """The oEmbed response of an available post: caption, author and image, no counts."""
        cover = self._urls(post.cover)[0]
        return {
            "version": "1.0",
            "type": "video",
            "title": post.desc,
            "author_url": f"{SITE}/@{post.account}",
            "author_name": post.author.nickname,
            "width": "100%",
            "height": "100%",
            "html": (
                f'<blockquote class="tiktok-embed" cite="{SITE}{post.path}" '
                f'data-video-id="{post.tiktok_id}"><section><p>{html.escape(post.desc)}</p>'
                "</section></blockquote>"
            ),
            "thumbnail_width": post.cover.width,
            "thumbnail_height": post.cover.height,
            "thumbnail_url": cover,
            "provider_url": SITE,
            "provider_name": "TikTok",
            "author_unique_id": post.account,
            "embed_product_id": post.tiktok_id,
            "embed_type": "photo" if post.slides else "video",
        }

    def _detail(self, post: FakePost | None, status: PostStatus | None) -> Json:
        if status is None:
            status = STATUSES.get(post.status) if post else None
        if post is None or (status is not None and status.shape in ("no_item", "empty_item")):
            status = status or ITEM_DOESNT_EXIST
            item_info: Json = {"itemInfo": {}} if status.shape == "empty_item" else {}
            return {**item_info, "statusCode": status.code, "statusMsg": status.message}
        return {
            "itemInfo": {"itemStruct": item_struct(post, self._urls, self._media_base)},
            "shareMeta": {"title": f"{post.author.nickname} on TikTok", "desc": post.desc},
            "statusCode": 0,
            "statusMsg": "",
        }

    def _embed_data(self, post: FakePost) -> Json:
        m, account = post.metrics, post.author
        return {
            "itemInfos": {
                "id": post.tiktok_id,
                "text": post.desc,
                "createTime": str(post.created),
                "playCount": m.views,
                "diggCount": m.likes,
                "commentCount": m.comments,
                "shareCount": m.shares,
                "covers": self._urls(post.cover)[:1],
            },
            "authorInfos": {
                "userId": account.user_id,
                "uniqueId": account.unique_id,
                "nickName": account.nickname,
                "secUid": account.sec_uid,
                "verified": account.verified,
            },
            "musicInfos": {"musicName": post.music.title if post.music else ""},
            "authorStats": {"followerCount": account.followers},
            "imagePostInfo": {
                "displayImages": [{"urlList": self._urls(slide)} for slide in post.slides]
            },
        }


def home(*, gzip: bool) -> bytes:
    """The start page: where dead short links end."""
    return _page({"seo.abtest": _seo("/")}, "home", gzip=gzip)


def _seo(path: str) -> Json:
    return {"canonical": SITE + path, "pageId": path.rpartition("/")[2], "vidList": []}


def _page(
    scope: dict[str, Any],
    key: str,
    *,
    pretty: bool = False,
    with_script: bool = True,
    gzip: bool = False,
) -> bytes:
    own = json.dumps(
        scope,
        ensure_ascii=False,
        indent=1 if pretty else None,
        separators=None if pretty else (",", ":"),
    )
    text = page_filler.escape_json(own)[1:-1]
    script = f'{{"__DEFAULT_SCOPE__":{{{page_filler.static_scope()},{text}}}}}'
    if not with_script:
        script = ""
    return page_filler.page(script.encode(), zlib.crc32(key.encode()), gzip=gzip)
