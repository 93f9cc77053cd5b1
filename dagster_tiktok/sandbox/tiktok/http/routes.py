"""What a request to the fake TikTok asks for, read from its path and query alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from dagster_tiktok.sandbox.tiktok.content.slide_urls import MIRRORS, image_key
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import RequestFacts, RequestKind

_POST = re.compile(r"^/@[^/]*/(?P<form>video|photo)/(?P<id>\d+)/?$")
_SHARED_POST = re.compile(r"^/(?:(?:i18n/)?share/video/(?P<shared>\d+)/?|v/(?P<old>\d+)\.html)$")
_EMBED = re.compile(r"^/embed/(?:v2/)?(?P<id>\d+)/?$")
_PROFILE = re.compile(r"^/@(?P<name>[^/]+)/?$")
_SHORT = re.compile(r"^/(?:t/)?(?P<code>[A-Za-z0-9_~-]{5,64})/?$")
_FIXED: dict[str, RequestKind] = {"/": "home", "/login": "login"}
_PAGES_THAT_LOOK_SHORT = frozenset({"explore", "foryou", "following", "upload", "search"})


@dataclass(frozen=True)
class Route:
    """A request, understood."""

    facts: RequestFacts
    photo_form: bool = False
    image_key: str | None = None


def find_route(path: str, query: Mapping[str, str], world: World) -> Route:
    """What the URL names, whether or not the world has it.

    Arguments:
        path: without query, percent-decoded.
    """
    if match := _POST.match(path):
        return Route(RequestFacts("page", match["id"]), photo_form=match["form"] == "photo")
    if key := image_key(path):
        return _image(key, query, world)
    if path == "/oembed":
        return Route(RequestFacts("oembed", _post_id_in(query.get("url", ""), world)))
    return Route(_other_facts(path, world))


def _other_facts(path: str, world: World) -> RequestFacts:
    if path in _FIXED:
        return RequestFacts(_FIXED[path])
    if match := _SHARED_POST.match(path):
        return RequestFacts("short", match["shared"] or match["old"])
    if match := _EMBED.match(path):
        return RequestFacts("embed", match["id"])
    if match := _PROFILE.match(path):
        return RequestFacts("profile", name=match["name"])
    match = _SHORT.match(path)
    if match and match["code"] not in _PAGES_THAT_LOOK_SHORT:
        post = world.by_short_code.get(match["code"])
        return RequestFacts("short", post.tiktok_id if post else None, name=match["code"])
    return RequestFacts("other")


def _image(key: str, query: Mapping[str, str], world: World) -> Route:
    host = query.get("host", "")
    mirror = MIRRORS.index(host) if host in MIRRORS else None
    found = world.image(key)
    if found is None:
        return Route(RequestFacts("slide", mirror=mirror), image_key=key)
    post, slide = found
    facts = RequestFacts("slide" if slide.number else "cover", post.tiktok_id, slide.number, mirror)
    return Route(facts, image_key=key)


def _post_id_in(url: str, world: World) -> str | None:
    path = urlsplit(url).path
    if match := _POST.match(path):
        return match["id"]
    match = _SHORT.match(path)
    post = world.by_short_code.get(match["code"]) if match else None
    return post.tiktok_id if post else None
