"""Carousels from the sandbox to the bucket: the servers, the looks, and what must have come out.

The sandbox's TikTok and sheet run in a process of their own, the local Supabase in another.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import random
import tempfile
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
from storage3._async.file_api import AsyncBucketProxy

from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.sandbox.serve import MIGRATIONS
from dagster_tiktok.sandbox.sheets.server import SheetsServer
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost, FakeSlide, ImageFormat
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.sandbox.tiktok.http.state import Shaping
from dagster_tiktok.settings import Settings, load_settings

SLIDES = 6
KINDS: tuple[tuple[int, int, ImageFormat], ...] = (
    (810, 1080, "jpeg"),
    (1080, 1080, "jpeg"),
    (1080, 1440, "jpeg"),
    (1080, 1440, "webp"),
    (1200, 1800, "jpeg"),
)
"""Images of 100 to 430 KB."""
_AT_ONCE, _PAGE = 8, 1000
Truth = Mapping[tuple[str, int], str]
"""The sha256 of each slide by post and number, as the sandbox knows it."""


@dataclass(frozen=True)
class Carousels:
    """`environment` is that of a run on the servers; `ids` are the posts', in the sheet's order."""

    url: str
    environment: dict[str, str]
    ids: list[str]

    def settings(self, **overrides: Any) -> Settings:
        own = {name.lower(): value for name, value in self.environment.items()}
        return load_settings(None, **{**own, **overrides})

    def control(self, what: str, body: object = None) -> Any:
        """Asks the control address of the sandbox's TikTok; a body makes it a POST."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/_control/{what}", data, timeout=300) as answer:
            return json.loads(answer.read())

    def truth(self, ids: list[str]) -> Truth:
        posts = [
            post
            for start in range(0, len(ids), 100)
            for post in self.control(f"posts?ids={','.join(ids[start : start + 100])}")["posts"]
        ]
        return {(p["tiktok_id"], s["number"]): s["sha256"] for p in posts for s in p["slides"]}


@contextmanager
def carousels(posts: int, shaping: Shaping | None = None) -> Iterator[Carousels]:
    """A TikTok of that many carousels, all of them ready in the sheet, and an empty Supabase."""
    with tempfile.TemporaryDirectory() as folder:
        supabase = SupabaseServer(Path(folder, "supabase"), MIGRATIONS)
        asyncio.run(supabase.start())
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, posts, shaping, Path(folder))
        )
        process.start()
        theirs.close()  # so that its end is heard of
        try:
            url, environment, ids = ours.recv()
            environment |= {
                "SUPABASE_URL": supabase.url,
                "SUPABASE_KEY": supabase.secret_key,
                "SLIDE_CACHE_DIR": f"{folder}/slides",
            }
            yield Carousels(url, environment, ids)
        finally:
            ours.close()  # tells the process to end
            process.join()
            asyncio.run(supabase.close())


def _serve(parent: Connection, posts: int, shaping: Shaping | None, folder: Path) -> None:
    async def until_told() -> None:
        world = carousel_world(posts)
        account = folder / "service_account.json"
        sheets = SheetsServer(_rows(world), service_account_path=account)
        await sheets.start()
        async with TikTokServer(world, shaping=shaping) as tiktok:
            environment = {
                "TIKTOK_BASE_URL": tiktok.url,
                "TIKTOK_REQUESTS_PER_SECOND": "0",
                "TIKTOK_MAX_CONCURRENCY": "8",
                "SLIDE_ALLOWED_HOSTS": f"127.0.0.1:{tiktok.port}",
                "GOOGLE_SHEETS_CREDENTIALS": str(account),
                "GOOGLE_SHEET_URL": sheets.sheet_url,
                "GOOGLE_SHEETS_API_URL": sheets.url,
            }
            parent.send((tiktok.url, environment, [post.tiktok_id for post in world.posts]))
            try:
                await asyncio.to_thread(parent.recv)
            except EOFError:
                await sheets.close()

    asyncio.run(until_told())


def carousel_world(posts: int) -> World:
    """Carousels whose pages tell their account's followers, so that a post is one page."""
    world = World(posts=posts, only="carousel", slide_count=SLIDES, slide_style="photo")
    dice = random.Random("kinds of pictures")
    for post in world.posts:
        slides = tuple(_of_size(slide, dice) for slide in post.slides)
        world.add_post(replace(post, slides=slides, author_stats_on_page=True))
    return world


def _of_size(slide: FakeSlide, dice: random.Random) -> FakeSlide:
    width, height, image_format = dice.choice(KINDS)
    return replace(slide, width=width, height=height, image_format=image_format)


def _rows(world: World) -> list[list[str | int | float]]:
    header: list[str | int | float] = ["Post URL", "VA", "Creator", "Set ID", "Type", "Status"]
    return [header, *(_row(post) for post in world.posts)]


def _row(post: FakePost) -> list[str | int | float]:
    return [post.canonical_url, "Ana", "Maya", 1, "NEW", "Ready to Scrape"]


async def check_bucket(settings: Settings, truth: Truth) -> int:
    """Reads every object of the posts back; answers their bytes.

    Raises:
        RuntimeError: a slide has no object or several, or an object is another picture.
    """
    posts = {tiktok_id for tiktok_id, _ in truth}
    found: Counter[tuple[str, int]] = Counter()
    wrong: list[str] = []
    size = 0
    async with open_supabase(settings) as client, httpx.AsyncClient(timeout=60) as browser:
        bucket = client.storage.from_(settings.supabase_bucket)
        paths = iter([path async for path in _objects(bucket) if path.split("/")[0] in posts])

        async def look() -> None:
            nonlocal size
            for path in paths:
                tiktok_id, name = path.split("/")
                slide = (tiktok_id, int(name[:2]))
                found[slide] += 1
                data = (await browser.get(await bucket.get_public_url(path))).content
                size += len(data)
                if hashlib.sha256(data).hexdigest() != truth.get(slide):
                    wrong.append(path)

        await asyncio.gather(*(look() for _ in range(_AT_ONCE)))
    if wrong or found != Counter(dict.fromkeys(truth, 1)):
        missing, doubled = set(truth) - set(found), [key for key in found if found[key] > 1]
        raise RuntimeError(
            f"{len(missing)} slides are missing, {len(doubled)} are there twice, "
            f"{len(wrong)} objects are broken: {[*missing, *doubled, *wrong][:5]}"
        )
    return size


async def _objects(bucket: AsyncBucketProxy) -> AsyncIterator[str]:
    """The paths of the bucket. The local Supabase lists all folders at once."""
    for start in count(0, _PAGE):
        page = await bucket.list("", {"limit": _PAGE, "offset": start})
        for entry in page:
            yield str(entry["name"])
        if len(page) < _PAGE:
            return
