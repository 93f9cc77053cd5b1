"""gallery-dl and yt-dlp, which know the real site, read the sandbox as they read it.

Both run as they are, as programs, and see `https://www.tiktok.com` (see `tls_proxy`). If TikTok
changes its pages, these programs change, and these tests tell that the sandbox is behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dagster_tiktok.sandbox.tiktok.content.fake_posts import SITE, FakePost
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok_tests.support.tls_proxy import TlsProxy

pytestmark = pytest.mark.slow

UNAVAILABLE = ("deleted", "private", "private_account", "geofenced", "age_classified")
FILE_MESSAGE = 3
"""The kind of gallery-dl's message that names a file."""

Run = Callable[..., Awaitable[tuple[str, str]]]


def with_programs(folder: Path, check: Callable[[TikTokServer, Run], Awaitable[None]]) -> None:
    """Runs the check with a server and a way to run a program that takes it for tiktok.com."""

    async def main() -> None:
        async with TikTokServer(World(posts=90)) as server:
            with TlsProxy(("127.0.0.1", server.port), folder) as proxy:

                async def run(module: str, *arguments: str) -> tuple[str, str]:
                    return await _run_program(folder, module, proxy.url, *arguments)

                await check(server, run)

    asyncio.run(main())


async def _run_program(folder: Path, module: str, proxy: str, *arguments: str) -> tuple[str, str]:
    # The proxy is for tiktok.com; images come straight from the sandbox's own URL.
    hidden = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    environment = {k: v for k, v in os.environ.items() if k.lower() not in hidden}
    environment |= {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PYTHONUTF8": "1"}
    environment |= {"HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), 240)
    return output.decode(), errors.decode()


def check_yt_dlp(found: dict[str, Any], post: FakePost) -> None:
    """yt-dlp reads `stats`."""
    m = post.metrics.shown
    assert found["id"] == post.tiktok_id
    assert found["description"] == post.desc
    assert found["timestamp"] == post.created
    assert (found["uploader"], found["uploader_id"]) == (post.account, post.author.user_id)
    assert (found["channel"], found["channel_id"]) == (post.author.nickname, post.author.sec_uid)
    assert found["view_count"] == m.views
    assert found["like_count"] == m.likes
    assert found["comment_count"] == m.comments
    assert found["repost_count"] == m.shares
    assert found["save_count"] == m.bookmarks
    if post.music is not None:
        assert found["track"] == post.music.title


def check_gallery_dl(found: dict[str, Any], post: FakePost) -> None:
    """gallery-dl hands on the page's own JSON."""
    m = post.metrics.shown
    assert (found["id"], found["desc"], found["user"]) == (post.tiktok_id, post.desc, post.account)
    assert found["author"]["verified"] is post.verified
    assert found["createTime"] == str(post.created)
    assert found["post_type"] == ("image" if post.slides else "video")
    assert found["statsV2"] == {
        "playCount": str(m.views),
        "diggCount": str(m.likes),
        "commentCount": str(m.comments),
        "shareCount": str(m.shares),
        "collectCount": str(m.bookmarks),
        "repostCount": str(m.reposts),
    }


def check_rejected(errors: str, complaints: dict[str, int]) -> None:
    for complaint, times in complaints.items():
        assert errors.count(complaint) == times, errors


def json_values(text: str) -> list[Any]:
    """The JSON values that stand one after the other in a program's output."""
    decoder, values, position = json.JSONDecoder(), [], 0
    while text[position:].strip():
        value, end = decoder.raw_decode(text[position:].lstrip())
        position = len(text) - len(text[position:].lstrip()) + end
        values.append(value)
    return values


def test_yt_dlp_reads_the_truth(tmp_path: Path) -> None:
    async def check(server: TikTokServer, run: Run) -> None:
        world = server.world
        pretty = next(p for p in world.videos() if p.pretty_printed)
        posts = [*world.videos()[:3], pretty, world.carousels(6)[0], world.videos()[4]]
        gone = [SITE + world.unavailable(name).video_path for name in UNAVAILABLE]
        # The first page is a challenge, which yt-dlp solves as it does the real one.
        server.faults.add(Fault("challenge", on="page", times=1))
        output, errors = await run(
            "yt_dlp", "--ignore-config", "--no-check-certificate", "--no-cache-dir",
            "-j", "-i", *(SITE + post.video_path for post in posts[:-1]),
            f"https://vm.tiktok.com/{posts[-1].short_code}/", *gone,
        )  # fmt: skip
        found = json_values(output)
        assert len(found) == len(posts), errors
        for info, post in zip(found, posts, strict=True):
            check_yt_dlp(info, post)
        check_rejected(
            errors,
            {
                "You do not have permission to view this post": 2,
                "Your IP address is blocked from accessing this post": 1,
                "Video not available, status code 10231": 1,
                "This post may not be comfortable for some audiences": 1,
            },
        )
        first = [entry.fault for entry in server.log.selected(kind="page")[:2]]
        assert first == ["challenge", None]

    with_programs(tmp_path, check)


def test_gallery_dl_reads_the_truth(tmp_path: Path) -> None:
    async def check(server: TikTokServer, run: Run) -> None:
        world = server.world
        pretty = next(p for p in world.carousels() if p.pretty_printed)
        posts = [world.videos()[0], pretty, world.carousels(35)[0], world.carousels(1)[0]]
        gone = [SITE + world.unavailable(name).video_path for name in UNAVAILABLE]
        server.faults.add(Fault("challenge", on="page", times=1))
        output, errors = await run(
            "gallery_dl", "--config-ignore", "--no-check-certificate", "--resolve-json",
            "-o", "cache.file=:memory:", "-o", "audio=false",
            SITE + posts[0].video_path,
            SITE + posts[1].path,
            f"https://vm.tiktok.com/{posts[2].short_code}/",
            f"{SITE}/t/{posts[3].short_code}/",
            *gone,
        )  # fmt: skip
        messages = [message for messages in json_values(output) for message in messages]
        files = [message[-1] for message in messages if message[0] == FILE_MESSAGE]
        for post in posts:
            of_post = [found for found in files if found["id"] == post.tiktok_id]
            assert len(of_post) == max(1, post.slide_count), errors
            for found in of_post:
                check_gallery_dl(found, post)
            if post.slides:
                given = [(f["file_id"], f["num"], f["width"], f["height"]) for f in of_post]
                slides = post.slides
                assert given == [(s.image_key, s.number, s.width, s.height) for s in slides]
        check_rejected(
            errors,
            {
                "Solving JavaScript challenge": 1,
                "Failed to solve": 0,
                "Requested post not available": 1,
                "Login required to access this post": 1,
                "Region locked": 1,
                "unknown error code 10216": 1,
            },
        )

    with_programs(tmp_path, check)


def test_gallery_dl_downloads_the_slides(
    tmp_path: Path,
) -> None:
    async def check(server: TikTokServer, run: Run) -> None:
        post = server.world.carousels(6)[1]
        _, errors = await run(
            "gallery_dl", "--config-ignore", "--no-check-certificate", "-D", str(tmp_path / "got"),
            "-o", "cache.file=:memory:", "-o", "audio=false", SITE + post.video_path,
        )  # fmt: skip
        files = {sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "got").iterdir()}
        wanted = {await server.images.sha256(slide.image_key) for slide in post.slides}
        assert files == wanted, errors

    with_programs(tmp_path, check)
