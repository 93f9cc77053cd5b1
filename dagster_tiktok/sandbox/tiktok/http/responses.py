"""The true answer to each request, before any fault spoils it."""

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
class Answer:
    status: int = 200
    body: bytes = b""
    content_type: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = "whole"


class Responses:
    """Responses of one server.

    Arguments:
        base_url: the server's own address, asked for at each answer (the port comes late).
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

    async def answer(self, route: Route, request: web.Request) -> Answer:
        kind, tiktok_id = route.facts.kind, route.facts.post_id or ""
        if kind in IMAGES:
            return await self._image(route, request)
        post = self.world.by_id.get(tiktok_id)
        answers: dict[str, Callable[[], Answer]] = {
            "page": lambda: self.post_page(tiktok_id, post, route, request),
            "profile": lambda: self._profile(route.facts.name or "", request),
            "short": lambda: self._redirect(post, request),
            "embed": lambda: Answer(body=self.pages.embed(tiktok_id, post)),
            "oembed": lambda: self._oembed(post),
            "home": lambda: page_response(pages.home(gzip=accepts_gzip(request)), request),
            "login": lambda: Answer(body=login_page()),
            "other": lambda: _nothing_here(request),
        }
        return answers[kind]()

    def post_page(
        self, tiktok_id: str, post: FakePost | None, route: Route, request: web.Request
    ) -> Answer:
        body = self.pages.post(
            tiktok_id,
            post,
            photo_form=route.photo_form,
            mobile=is_mobile(request),
            gzip=accepts_gzip(request),
        )
        return page_response(body, request)

    def avatar(self, name: str) -> FakePost | None:
        """A post of the account, whose cover serves as its picture."""
        return self.world.find_first_post(name)

    def _profile(self, name: str, request: web.Request) -> Answer:
        account = self.world.accounts.get(name)
        body = self.pages.profile(name, account, self.avatar(name), gzip=accepts_gzip(request))
        return page_response(body, request)

    def _redirect(self, post: FakePost | None, request: web.Request) -> Answer:
        origin = _origin(request, self._base_url())
        if post is None:
            return Answer(status=302, headers={"Location": f"{origin}/?_r=1"})
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
        return Answer(status=301, headers={"Location": location})

    def _oembed(self, post: FakePost | None) -> Answer:
        if post is None or post.status not in EMBEDDED_STATUSES:
            return _json({"code": 400, "message": "Something went wrong"}, status=400)
        return _json(self.pages.oembed(post))

    async def _image(self, route: Route, request: web.Request) -> Answer:
        verdict = self._signer.check(request.path, request.query)
        if verdict != "ok":
            return forbidden_image()
        picture = await self.images.get(route.image_key or "")
        if picture is None:
            return Answer(status=404)
        return image_response(picture, request)

    def _urls(self, slide: FakeSlide) -> list[str]:
        return self._signer.addresses(self._base_url(), slide.image_key)


def image_response(picture: DrawnImage, request: web.Request) -> Answer:
    """The picture, or the part of it that a range asks for."""
    size = len(picture.data)
    headers = {
        "ETag": picture.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": f"max-age={_MAX_AGE_SECONDS}",
    }
    wanted, validator = request.headers.get("Range", ""), request.headers.get("If-Range", "")
    part = wanted_part(size, wanted, validator, picture.etag)
    if part is None:
        return Answer(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    body = picture.data[part.start : part.end]
    if not part.is_range:
        return Answer(200, body, picture.mime_type, headers)
    headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    return Answer(206, body, picture.mime_type, headers)


def page_response(body: bytes, request: web.Request) -> Answer:
    """A page that was written for this request's `Accept-Encoding`, with session cookies."""
    headers = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    cookies = {}
    if "ttwid" not in request.cookies:
        cookies = {
            "ttwid": f"1%7C{secrets.token_urlsafe(32)}",
            "tt_csrf_token": secrets.token_urlsafe(12),
            "tt_chain_token": secrets.token_urlsafe(16),
        }
    return Answer(body=body, headers=headers | {"Vary": "Accept-Encoding"}, cookies=cookies)


def forbidden_image() -> Answer:
    """What the CDN answers to an expired address and to a wrong signature."""
    return Answer(403, b"", "text/plain", {"X-Tt-Reason": "invalid signature or expired"})


def _nothing_here(request: web.Request) -> Answer:
    # Sound and film: their addresses are on the pages, nothing has a reason to read them.
    return Answer(status=403 if request.path.startswith(("/video/tos/", "/obj/")) else 404)


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


def _json(value: object, status: int = 200) -> Answer:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(status, body, "application/json; charset=utf-8")
