"""A small CDN: files by path, and the slides whose URLs point at them."""

from __future__ import annotations

import asyncio
import hashlib
import time

from aiohttp import web

from dagster_tiktok.models import SlideSource
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.responses import FILE, whole_file


class Cdn(ScriptedServer):
    """Serves `files` by path (without a slash before it), unless `on` scripts something else.

    `delay` seconds pass before each response. `hold_until` requests have to be under way at once
    before the first of them gets one.
    """

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        super().__init__()
        self.files = files or {}
        self.delay = 0.0
        self.hold_until = 0
        self._enough = asyncio.Event()

    def slide_url(self, path: str, *, lives_for: float = 40 * 3600) -> str:
        """Arguments: lives_for: seconds until the URL expires."""
        expires = int(time.time() + lives_for)
        return f"{self.url}/{path}?x-expires={expires}&x-signature=a%2Bb"

    def slide(self, number: int, *paths: str, lives_for: float = 40 * 3600) -> SlideSource:
        """Its mirrors are `paths`; its key is made from the first, as the real one's is."""
        return SlideSource(
            number=number,
            mirrors=tuple(self.slide_url(path, lives_for=lives_for) for path in paths),
            image_key=hashlib.md5(paths[0].encode(), usedforsecurity=False).hexdigest(),
        )

    def requested(self, path: str) -> int:
        """How often."""
        return self.paths.count(f"/{path}")

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if self.most_at_once >= self.hold_until:
            self._enough.set()
        await self._enough.wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        FILE.set(self.files.get(request.path.removeprefix("/"), b""))
        return await super().respond(request)

    async def respond_without_script(self, request: web.Request) -> web.StreamResponse:
        return await whole_file(request)
