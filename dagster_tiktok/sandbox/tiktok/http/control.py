"""The control API of the fake TikTok, `/_control/`: JSON for tests and for exploring.

| request | does |
|---|---|
| `GET /_control/faults`, `POST` (a `faults.Fault`, or a list), `DELETE` (`?id=`) | faults |
| `GET /_control/requests` (`?kind= &post_id= &path= &after= &summary=1`) | the log and counts |
| `POST /_control/reset` | forgets faults and log |
| `GET /_control/posts` (`?ids=a,b &hashes=0`), `GET /_control/posts/ID` | the truth |
| `POST /_control/posts` (`slide_count, status, desc, account, metrics`) | adds a post |
| `POST /_control/posts/ID/metrics` (`views, likes, ...`) | changes counts |
| `POST /_control/age` (`days`) | lets all posts grow |
| `GET /_control/shaping`, `POST` | latency and speed, see `state.Shaping` |
| `POST /_control/expire_slides` | expires every image URL that was given out so far |

These requests are not in the log. Invalid ones get a 400 with a message.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from typing import Any

from aiohttp import web

from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakeMetrics, FakePost
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.state import ServerState

PREFIX = "/_control"
_NEW_POST_FIELDS = frozenset({"slide_count", "status", "desc", "account", "metrics"})
_METRICS = frozenset(field.name for field in fields(FakeMetrics))


def application(state: ServerState) -> web.Application:
    """The control API of a server, to mount at `PREFIX`."""
    control = _Control(state)
    app = web.Application(middlewares=[_handle_errors])
    app.router.add_get("/faults", control.list_faults)
    app.router.add_post("/faults", control.add_faults)
    app.router.add_delete("/faults", control.remove_faults)
    app.router.add_get("/requests", control.requests)
    app.router.add_post("/reset", control.reset)
    app.router.add_get("/posts", control.posts)
    app.router.add_post("/posts", control.add_post)
    app.router.add_get("/posts/{id}", control.post)
    app.router.add_post("/posts/{id}/metrics", control.set_metrics)
    app.router.add_post("/age", control.age)
    app.router.add_get("/shaping", control.shaping)
    app.router.add_post("/shaping", control.set_shaping)
    app.router.add_post("/expire_slides", control.expire_slides)
    return app


class _Control:
    def __init__(self, state: ServerState) -> None:
        self._state = state

    async def list_faults(self, request: web.Request) -> web.Response:
        return _json({"faults": self._state.faults.listed()})

    async def add_faults(self, request: web.Request) -> web.Response:
        body = await _body(request)
        faults = [Fault.from_json(item) for item in (body if isinstance(body, list) else [body])]
        return _json({"ids": [self._state.faults.add(fault) for fault in faults]})

    async def remove_faults(self, request: web.Request) -> web.Response:
        if "id" in request.query:
            return _json({"removed": self._state.faults.remove(int(request.query["id"]))})
        self._state.faults.clear()
        return _json({"removed": True})

    async def requests(self, request: web.Request) -> web.Response:
        log, query = self._state.log, request.query
        result: dict[str, Any] = {"counts": log.counts()}
        if "summary" not in query:
            chosen = log.selected(
                kind=query.get("kind"),
                post_id=query.get("post_id"),
                path=query.get("path"),
                after=int(query.get("after", "0")),
            )
            result["requests"] = log.as_json(chosen)
        return _json(result)

    async def reset(self, request: web.Request) -> web.Response:
        self._state.faults.clear()
        self._state.log.reset()
        return _json({"reset": True})

    async def posts(self, request: web.Request) -> web.Response:
        world = self._state.world
        ids = request.query.get("ids")
        chosen = world.posts if ids is None else [_find(self._state, i) for i in ids.split(",")]
        with_hashes = request.query.get("hashes") != "0"
        return _json({"posts": [await self._truth(p, with_hashes) for p in chosen]})

    async def post(self, request: web.Request) -> web.Response:
        return _json(await self._truth(_find(self._state, request.match_info["id"]), True))

    async def add_post(self, request: web.Request) -> web.Response:
        body = _object(await _body(request), _NEW_POST_FIELDS)
        if type(body.get("slide_count", 0)) is not int or type(body.get("desc", "")) is not str:
            raise ValueError("slide_count is a whole number, desc a text")
        if "metrics" in body:
            body["metrics"] = FakeMetrics(**_counts(body["metrics"], complete=True))
        if body.get("account") not in (None, *self._state.world.accounts):
            raise ValueError(f"no account {body['account']!r}")
        post = self._state.world.new_post(**body)
        return _json(await self._truth(post, True))

    async def set_metrics(self, request: web.Request) -> web.Response:
        post = _find(self._state, request.match_info["id"])
        counts = _counts(await _body(request))
        changed = self._state.world.set_metrics(post.tiktok_id, **counts)
        return _json(await self._truth(changed, False))

    async def age(self, request: web.Request) -> web.Response:
        body = _object(await _body(request), frozenset({"days"}))
        self._state.world.age(int(body.get("days", 1)))
        return _json({"aged": True})

    async def shaping(self, request: web.Request) -> web.Response:
        return _json(asdict(self._state.shaping))

    async def set_shaping(self, request: web.Request) -> web.Response:
        shaping = self._state.shaping
        for name, value in _object(await _body(request), frozenset(asdict(shaping))).items():
            setattr(shaping, name, value)
        return _json(asdict(shaping))

    async def expire_slides(self, request: web.Request) -> web.Response:
        self._state.signer.expire_all()
        return _json({"expired": True})

    async def _truth(self, post: FakePost, with_hashes: bool) -> dict[str, Any]:
        truth = post.truth()
        if with_hashes:
            for slide in truth["slides"]:
                slide["sha256"] = await self._state.images.sha256(slide["image_key"])
        return truth


@web.middleware
async def _handle_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except LookupError as error:
        return web.json_response({"error": str(error.args[0])}, status=404)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)


def _find(state: ServerState, tiktok_id: str) -> FakePost:
    post = state.world.by_id.get(tiktok_id)
    if post is None:
        raise LookupError(f"no post {tiktok_id!r}")
    return post


async def _body(request: web.Request) -> Any:
    text = await request.text()
    return json.loads(text) if text else {}


def _object(body: Any, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(body, dict) or set(body) - known:
        raise ValueError(f"expected an object with any of: {', '.join(sorted(known))}")
    return body


def _counts(body: Any, *, complete: bool = False) -> dict[str, int]:
    counts = _object(body, _METRICS)
    if any(type(count) is not int for count in counts.values()):
        raise ValueError("metrics are whole numbers")
    if complete and (missing := _METRICS - {"reposts"} - set(counts)):
        raise ValueError(f"metrics lack {', '.join(sorted(missing))}")
    return counts


def _json(value: Any) -> web.Response:
    return web.json_response(value)
