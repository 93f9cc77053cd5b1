"""The good response to each request, before faults."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

from aiohttp import web

from dagster_tiktok.sandbox.tiktok.content import pages
from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost, FakeSlide
from dagster_tiktok.sandbox.tiktok.content.pages import PageWriter
from dagster_tiktok.sandbox.tiktok.content.slide_images import DrawnImage, SlideImages
from dagster_tiktok.sandbox.tiktok.content.slide_urls import SlideSigner
from dagster_tiktok.sandbox.tiktok.content.statuses import EMBEDDED_STATUSES
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import IMAGES
from dagster_tiktok.sandbox.tiktok.http.range_requests import wanted_part
from dagster_tiktok.sandbox.tiktok.http.rejections import login_page
from dagster_tiktok.sandbox.tiktok.http.routes import Route

Delivery = Literal["whole", "reset", "cut_off", "stall", "wrong_length", "endless"]
"""How a body arrives: whole, not at all, half and then reset or silence, short, or for ever."""

HTML = "text/html; charset=utf-8"
_MOBILE_MARKS = ("Mobile", "Android", "iPhone", "iPad")
_MAX_AGE_SECONDS = 31_536_000


@dataclass(frozen=True)
class FakeResponse:
    status: int = 200
    body: bytes = b""
    content_type: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = "whole"


class Responses:
    """Responses of one server.

    Arguments:
        base_url: the server's own URL, called for each response (the port is known late).
    """

    def __init__(
        self,
        world: World,
        images: SlideImages,
        signer: SlideSigner,
        base_url: Callable[[], str],
    ) -> None:
        self.world = world
        self.images = images
        self._signer = signer
        self._base_url = base_url

    @property
    def pages(self) -> PageWriter:
        return PageWriter(self._urls, self._base_url())

    async def respond(self, route: Route, request: web.Request) -> FakeResponse:
        kind, tiktok_id = route.facts.kind, route.facts.post_id or ""
        if kind in IMAGES:
            return await self._image(route, request)
        post = self.world.by_id.get(tiktok_id)
        makers: dict[str, Callable[[], FakeResponse]] = {
            "page": lambda: self.post_page(tiktok_id, post, route, request),
            "profile": lambda: self._profile(route.facts.name or "", request),
            "short": lambda: self._redirect(post, request),
            "embed": lambda: FakeResponse(body=self.pages.embed(tiktok_id, post)),
            "oembed": lambda: self._oembed(post),
            "home": lambda: page_response(pages.home(gzip=accepts_gzip(request)), request),
            "login": lambda: FakeResponse(body=login_page()),
            "other": lambda: _nothing_here(request),
        }
        return makers[kind]()

    def post_page(
        self, tiktok_id: str, post: FakePost | None, route: Route, request: web.Request
    ) -> FakeResponse:
        body = self.pages.post(
            tiktok_id,
            post,
            photo_form=route.photo_form,
            mobile=is_mobile(request),
            gzip=accepts_gzip(request),
        )
        return page_response(body, request)

    def avatar(self, name: str) -> FakePost | None:
        """A post of the account, whose cover serves as its image."""
        return self.world.find_first_post(name)

    def _profile(self, name: str, request: web.Request) -> FakeResponse:
        account = self.world.accounts.get(name)
        body = self.pages.profile(name, account, self.avatar(name), gzip=accepts_gzip(request))
        return page_response(body, request)

    def _redirect(self, post: FakePost | None, request: web.Request) -> FakeResponse:
        origin = _origin(request, self._base_url())
        if post is None:
            return FakeResponse(status=302, headers={"Location": f"{origin}/?_r=1"})
        tracking = {
            "_r": "1",
            "_t": "ZT-8xSandbox",
            "share_app_id": "1233",
            "share_item_id": post.tiktok_id,
            "share_link_id": "8d1f6f0e-0000-4000-8000-000000000000",
            "social_share_type": "14" if post.slides else "0",
            "utm_campaign": "client_share",
            "utm_medium": "android",
            "utm_source": "copy",
        }
        if post.slides:
            tracking |= {"aweme_type": "150", "pic_cnt": str(post.slide_count)}
        location = f"{origin}{post.path}?{urlencode(tracking)}"
        return FakeResponse(status=301, headers={"Location": location})

    def _oembed(self, post: FakePost | None) -> FakeResponse:
        if post is None or post.status not in EMBEDDED_STATUSES:
            return _json({"code": 400, "message": "Something went wrong"}, status=400)
        return _json(self.pages.oembed(post))

    async def _image(self, route: Route, request: web.Request) -> FakeResponse:
        verdict = self._signer.check(request.path, request.query)
        if verdict != "ok":
            return forbidden_image()
        image = await self.images.get(route.image_key or "")
        if image is None:
            return FakeResponse(status=404)
        return image_response(image, request)

    def _urls(self, slide: FakeSlide) -> list[str]:
        return self._signer.make_urls(self._base_url(), slide.image_key)


def image_response(image: DrawnImage, request: web.Request) -> FakeResponse:
    """The image, or the part of it that a range asks for."""
    size = len(image.data)
    headers = {
        "ETag": image.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": f"max-age={_MAX_AGE_SECONDS}",
    }
    wanted, validator = request.headers.get("Range", ""), request.headers.get("If-Range", "")
    part = wanted_part(size, wanted, validator, image.etag)
    if part is None:
        return FakeResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    body = image.data[part.start : part.end]
    if not part.is_range:
        return FakeResponse(200, body, image.mime_type, headers)
    headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    return FakeResponse(206, body, image.mime_type, headers)


def page_response(body: bytes, request: web.Request) -> FakeResponse:
    """A page that was written for this request's `Accept-Encoding`, with session cookies."""
    headers = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    cookies = {}
    if "ttwid" not in request.cookies:
        cookies = {
            "ttwid": f"1%7C{secrets.token_urlsafe(32)}",
            "tt_csrf_token": secrets.token_urlsafe(12),
            "tt_chain_token": secrets.token_urlsafe(16),
        }
    return FakeResponse(body=body, headers=headers | {"Vary": "Accept-Encoding"}, cookies=cookies)


def forbidden_image() -> FakeResponse:
    """What the CDN sends for an expired URL and for a wrong signature."""
    return FakeResponse(403, b"", "text/plain", {"X-Tt-Reason": "invalid signature or expired"})


def _nothing_here(request: web.Request) -> FakeResponse:
    # Sound and film: their URLs are on the pages, but nothing needs to read them.
    return FakeResponse(status=403 if request.path.startswith(("/video/tos/", "/obj/")) else 404)


def accepts_gzip(request: web.Request) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def is_mobile(request: web.Request) -> bool:
    agent = request.headers.get("User-Agent", "")
    return any(mark in agent for mark in _MOBILE_MARKS)


def _origin(request: web.Request, own: str) -> str:
    """Where a redirect leads: to this server, or to the host that a proxy plays before it."""
    host = request.headers.get("X-Forwarded-Host")
    if not host:
        return own
    return f"{request.headers.get('X-Forwarded-Proto', 'https')}://{host}"


def _json(value: object, status: int = 200) -> FakeResponse:
    body = json.dumps(value, ensure_ascii=False).encode()
    return FakeResponse(status, body, "application/json; charset=utf-8")
