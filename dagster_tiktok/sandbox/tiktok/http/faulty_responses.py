"""Turns a good response into what a fault makes of it (the kinds are in `faults.FAULT_KINDS`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from dagster_tiktok.sandbox.tiktok.content import hostile_files
from dagster_tiktok.sandbox.tiktok.content.statuses import PostStatus
from dagster_tiktok.sandbox.tiktok.http import rejections
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.responses import (
    Delivery,
    FakeResponse,
    Responses,
    accepts_gzip,
    forbidden_image,
    is_mobile,
    page_response,
)
from dagster_tiktok.sandbox.tiktok.http.routes import Route

_DELIVERIES: dict[str, Delivery] = {
    "reset": "reset",
    "cut_off": "cut_off",
    "stall": "stall",
    "wrong_length": "wrong_length",
    "endless": "endless",
}
_REPLACEMENTS: dict[str, Callable[[Fault], FakeResponse]] = {
    "status": lambda fault: FakeResponse(
        fault.status,
        content_type="text/plain",
        headers={} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"},
    ),
    "redirect": lambda fault: FakeResponse(302, headers={"Location": fault.location}),
    "login_redirect": lambda _: FakeResponse(
        302, headers={"Location": "/login?redirect_url=&lang=en"}
    ),
    "challenge": lambda _: FakeResponse(
        body=rejections.challenge_page(), headers={"x-tt-system-error": "3"}
    ),
    "captcha": lambda _: FakeResponse(body=rejections.captcha_page()),
    "short": lambda _: FakeResponse(body=rejections.short_page()),
    "empty": lambda _: FakeResponse(),
    "expired": lambda _: forbidden_image(),
    "html": lambda _: FakeResponse(body=hostile_files.HTML_PAGE),
    "svg": lambda _: FakeResponse(body=hostile_files.SVG, content_type="image/svg+xml"),
    "zip": lambda _: FakeResponse(body=hostile_files.zip_file(), content_type="image/jpeg"),
}
_ALTERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "truncated_image": lambda image: image[: len(image) // 2],
    "polyglot": hostile_files.polyglot,
}


async def faulty(
    fault: Fault, response: FakeResponse, route: Route, request: web.Request, responses: Responses
) -> FakeResponse:
    """The response with the fault."""
    kind = fault.kind
    if kind in _DELIVERIES:
        return replace(response, delivery=_DELIVERIES[kind])
    if kind in _REPLACEMENTS:
        return _REPLACEMENTS[kind](fault)
    if kind in _ALTERATIONS:
        return replace(response, body=_ALTERATIONS[kind](response.body))
    if kind == "huge_image":
        # Made once, in a thread: compressing 312 MB takes a second.
        bomb = await asyncio.to_thread(hostile_files.decompression_bomb)
        return FakeResponse(body=bomb, content_type="image/png")
    if kind == "ignore_range":
        return await _whole_image(response, route, responses)
    return _wrong_page(fault, route, request, responses)


async def _whole_image(response: FakeResponse, route: Route, responses: Responses) -> FakeResponse:
    image = await responses.images.get(route.image_key or "")
    if image is None or response.status not in (200, 206, 416):
        return response
    return FakeResponse(200, image.data, image.mime_type, {"ETag": image.etag})


def _wrong_page(
    fault: Fault, route: Route, request: web.Request, responses: Responses
) -> FakeResponse:
    facts, gzip = route.facts, accepts_gzip(request)
    post = responses.world.by_id.get(facts.post_id or "")
    if fault.kind == "wrong_id":
        other = responses.world.another(post)
        return responses.post_page(facts.post_id or "", other, route, request)
    status = None
    if fault.kind == "unavailable":
        status = PostStatus("fault", fault.status_code, fault.status_msg)
    with_script = fault.kind != "no_script"
    if facts.kind == "profile":
        name = facts.name or ""
        account, avatar = responses.world.accounts.get(name), responses.avatar(name)
        body = responses.pages.profile(
            name, account, avatar, status=status, with_script=with_script, gzip=gzip
        )
    else:
        body = responses.pages.post(
            facts.post_id or "",
            post,
            photo_form=route.photo_form,
            mobile=is_mobile(request),
            status=status,
            with_script=with_script,
            gzip=gzip,
        )
    return page_response(body, request)
