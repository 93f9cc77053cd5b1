"""How each kind of fault spoils an answer (the kinds are in `faults.FAULT_KINDS`)."""

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
    Answer,
    Delivery,
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
_REPLACEMENTS: dict[str, Callable[[Fault], Answer]] = {
    "status": lambda fault: Answer(
        fault.status,
        content_type="text/plain",
        headers={} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"},
    ),
    "redirect": lambda fault: Answer(302, headers={"Location": fault.location}),
    "login_redirect": lambda _: Answer(302, headers={"Location": "/login?redirect_url=&lang=en"}),
    "challenge": lambda _: Answer(
        body=rejections.challenge_page(), headers={"x-tt-system-error": "3"}
    ),
    "captcha": lambda _: Answer(body=rejections.captcha_page()),
    "short": lambda _: Answer(body=rejections.short_page()),
    "empty": lambda _: Answer(),
    "expired": lambda _: forbidden_image(),
    "html": lambda _: Answer(body=hostile_files.HTML_PAGE),
    "svg": lambda _: Answer(body=hostile_files.SVG, content_type="image/svg+xml"),
    "zip": lambda _: Answer(body=hostile_files.zip_file(), content_type="image/jpeg"),
}
_ALTERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "truncated_image": lambda picture: picture[: len(picture) // 2],
    "polyglot": hostile_files.polyglot,
}


async def faulty(
    fault: Fault, answer: Answer, route: Route, request: web.Request, answers: Responses
) -> Answer:
    """The answer as the fault leaves it."""
    kind = fault.kind
    if kind in _DELIVERIES:
        return replace(answer, delivery=_DELIVERIES[kind])
    if kind in _REPLACEMENTS:
        return _REPLACEMENTS[kind](fault)
    if kind in _ALTERATIONS:
        return replace(answer, body=_ALTERATIONS[kind](answer.body))
    if kind == "huge_image":
        # Made once, in a thread: compressing 312 MB takes a second.
        bomb = await asyncio.to_thread(hostile_files.decompression_bomb)
        return Answer(body=bomb, content_type="image/png")
    if kind == "ignore_range":
        return await _whole_image(answer, route, answers)
    return _wrong_page(fault, route, request, answers)


async def _whole_image(answer: Answer, route: Route, answers: Responses) -> Answer:
    picture = await answers.images.get(route.image_key or "")
    if picture is None or answer.status not in (200, 206, 416):
        return answer
    return Answer(200, picture.data, picture.mime_type, {"ETag": picture.etag})


def _wrong_page(fault: Fault, route: Route, request: web.Request, answers: Responses) -> Answer:
    facts, gzip = route.facts, accepts_gzip(request)
    post = answers.world.by_id.get(facts.post_id or "")
    if fault.kind == "wrong_id":
        other = answers.world.another(post)
        return answers.post_page(facts.post_id or "", other, route, request)
    status = None
    if fault.kind == "unavailable":
        status = PostStatus("fault", fault.status_code, fault.status_msg)
    with_script = fault.kind != "no_script"
    if facts.kind == "profile":
        name = facts.name or ""
        account, avatar = answers.world.accounts.get(name), answers.avatar(name)
        body = answers.pages.profile(
            name, account, avatar, status=status, with_script=with_script, gzip=gzip
        )
    else:
        body = answers.pages.post(
            facts.post_id or "",
            post,
            photo_form=route.photo_form,
            mobile=is_mobile(request),
            status=status,
            with_script=with_script,
            gzip=gzip,
        )
    return page_response(body, request)
