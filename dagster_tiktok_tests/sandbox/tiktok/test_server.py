"""The server over real sockets: pages, images, redirects, the log and the control API."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from PIL import Image
from yarl import URL

from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.sandbox.tiktok.http.state import Shaping

Check = Callable[[TikTokServer, aiohttp.ClientSession], Awaitable[None]]
_SCRIPT = re.compile(r'REHYDRATION__" type="application/json">(.*?)</script>', re.S)


def on_server(check: Check, **options: Any) -> None:
    """Runs the check against a server of 60 posts."""

    async def run() -> None:
        async with (
            TikTokServer(World(posts=60), **options) as server,
            aiohttp.ClientSession() as client,
        ):
            await check(server, client)

    asyncio.run(run())


async def scope(client: aiohttp.ClientSession, url: str, **headers: str) -> dict[str, Any]:
    async with client.get(url, headers=headers) as response:
        assert response.status == 200
        match = _SCRIPT.search(await response.text())
    assert match
    found: dict[str, Any] = json.loads(match[1])["__DEFAULT_SCOPE__"]
    return found


async def slide_urls(
    server: TikTokServer, client: aiohttp.ClientSession, post: FakePost
) -> list[list[URL]]:
    """The URLs of each slide, as the page gives them."""
    found = await scope(client, server.url + post.video_path)
    images = found["webapp.video-detail"]["itemInfo"]["itemStruct"]["imagePost"]["images"]
    return [[URL(a, encoded=True) for a in image["imageURL"]["urlList"]] for image in images]


def test_only_loopback_hosts_are_allowed() -> None:
    async def run() -> None:
        await TikTokServer(World(posts=1)).start("0.0.0.0")

    with pytest.raises(ValueError, match="loopback"):
        asyncio.run(run())


def test_post_page_ignores_the_user_name() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        post = server.world.videos()[0]
        for user in (f"@{post.account}", "@_", "@"):
            found = await scope(client, f"{server.url}/{user}/video/{post.tiktok_id}")
            item = found["webapp.video-detail"]["itemInfo"]["itemStruct"]
            assert item["statsV2"]["playCount"] == str(post.metrics.shown.views)
        mobile = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile"}
        found = await scope(client, server.url + post.video_path, **mobile)
        assert "webapp.reflow.video.detail" in found
        photo = await scope(client, f"{server.url}/@_/photo/{post.tiktok_id}/")
        assert "webapp.video-detail" not in photo

    on_server(check)


def test_session_cookies_are_set_once() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        url = server.url + server.world.videos()[0].video_path
        async with client.get(url) as response:
            assert {"ttwid", "tt_csrf_token"} <= set(response.cookies)
            cookies = {name: morsel.value for name, morsel in response.cookies.items()}
        async with client.get(url, cookies=cookies) as response:
            assert not response.cookies
        assert [entry.has_cookies for entry in server.log.entries] == [False, True]

    on_server(check)


def test_short_links_lead_to_posts_on_this_server() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        carousel, video = server.world.carousels(6)[0], server.world.videos()[0]
        for post in (carousel, video):
            code, number = post.short_code, post.tiktok_id
            for path in (f"/t/{code}/", f"/{code}", f"/v/{number}.html", f"/share/video/{number}"):
                async with client.get(server.url + path, allow_redirects=False) as response:
                    assert response.status == 301
                    location = URL(response.headers["Location"])
                assert str(location).startswith(server.url + post.path + "?")
                assert location.query["_r"] == "1"
                wanted = "6" if post is carousel else None
                assert location.query.get("pic_cnt") == wanted
        async with client.get(server.url + "/t/ZTnobody1/", allow_redirects=False) as response:
            assert response.headers["Location"] == server.url + "/?_r=1"

    on_server(check)


def test_oembed_and_embed_look_like_the_real_ones() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        post, gone = server.world.videos()[0], server.world.unavailable("deleted")
        async with client.get(server.url + "/oembed", params={"url": post.canonical_url}) as found:
            body = await found.json()
        assert body["title"] == post.desc
        assert body["author_unique_id"] == post.account
        async with client.get(server.url + "/oembed", params={"url": gone.canonical_url}) as found:
            assert found.status == 400
        async with client.get(f"{server.url}/embed/v2/{post.tiktok_id}") as found:
            text = await found.text()
        state = re.search(r'__FRONTITY_CONNECT_STATE__" type="application/json">(.*?)<', text)
        assert state
        data = json.loads(state[1])["source"]["data"][f"/embed/v2/{post.tiktok_id}"]
        assert data["videoData"]["itemInfos"]["text"] == post.desc

    on_server(check)


def test_both_mirrors_serve_the_image() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        for post in (*server.world.carousels(6)[:2], server.world.carousels(1)[0]):
            async with client.get(f"{server.url}/_control/posts/{post.tiktok_id}") as response:
                truth = await response.json()
            urls = await slide_urls(server, client, post)
            for mirrors, slide in zip(urls, truth["slides"], strict=True):
                for mirror in mirrors:
                    async with client.get(mirror) as response:
                        data = await response.read()
                        assert response.content_type == f"image/{slide['image_format']}"
                        assert response.content_length == len(data)
                    assert sha256(data).hexdigest() == slide["sha256"]
                image = Image.open(BytesIO(data))
                image.load()
                assert image.size == (slide["width"], slide["height"])
                assert (image.format or "").lower() == slide["image_format"]

    on_server(check)


def test_wrong_signature_or_mirror_is_403() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        first, second = (await slide_urls(server, client, server.world.carousels(6)[0]))[0]
        later = str(int(first.query["x-expires"]) + 9)
        for wrong in (
            first.update_query({"x-signature": second.query["x-signature"]}),
            first.update_query({"x-expires": later}),
            first.with_query(None),
        ):
            async with client.get(wrong) as response:
                assert response.status == 403
        async with client.get(first) as response:
            assert response.status == 200

    on_server(check)


def test_fresh_page_replaces_expired_urls() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        post = server.world.carousels(1)[0]
        (old,) = await slide_urls(server, client, post)
        async with client.post(server.url + "/_control/expire_slides") as response:
            assert response.status == 200
        async with client.get(old[0]) as response:
            assert response.status == 403
        (fresh,) = await slide_urls(server, client, post)
        async with client.get(fresh[0]) as response:
            assert response.status == 200
        assert old[0].path == fresh[0].path

    on_server(check)


def test_zero_lifetime_makes_expired_urls() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        (mirrors,) = await slide_urls(server, client, server.world.carousels(1)[0])
        async with client.get(mirrors[0]) as response:
            assert response.status == 403

    on_server(check, slide_lifetime_seconds=0)


@pytest.mark.parametrize(
    ("wanted", "status", "start", "end"),
    [
        ("bytes=100-", 206, 100, None),
        ("bytes=0-9", 206, 0, 10),
        ("bytes=-7", 206, -7, None),
        ("bytes=99999999-", 416, 0, 0),
        ("bytes=5-2", 200, None, None),
        ("lines=1-2", 200, None, None),
    ],
)
def test_range_request(wanted: str, status: int, start: int | None, end: int | None) -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        (mirrors,) = await slide_urls(server, client, server.world.carousels(1)[0])
        async with client.get(mirrors[0]) as response:
            whole, etag = await response.read(), response.headers["ETag"]
        async with client.get(mirrors[0], headers={"Range": wanted}) as response:
            assert response.status == status
            assert await response.read() == whole[start:end]
        other = {"Range": wanted, "If-Range": '"another"'}
        async with client.get(mirrors[0], headers=other) as response:
            assert await response.read() == whole
        same = {"Range": wanted, "If-Range": etag}
        async with client.get(mirrors[0], headers=same) as response:
            assert response.status == status

    on_server(check)


def test_request_log_leaves_out_control_requests() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        post = server.world.carousels(6)[0]
        urls = await slide_urls(server, client, post)
        for mirrors in urls:
            async with client.get(mirrors[1], headers={"Referer": "https://www.tiktok.com/"}) as r:
                await r.read()
        async with client.get(f"{server.url}/_control/requests?kind=slide") as response:
            body = await response.json()
        assert [r["slide_number"] for r in body["requests"]] == [1, 2, 3, 4, 5, 6]
        first = body["requests"][0]
        assert (first["post_id"], first["mirror"], first["status"]) == (post.tiktok_id, 1, 200)
        assert first["referer"] == "https://www.tiktok.com/"
        assert first["bytes_sent"] > 1000
        times = [r["monotonic"] for r in body["requests"]]
        assert times == sorted(times)
        assert body["counts"]["by_kind"] == {"page": 1, "slide": 6}
        assert body["counts"]["by_path"][post.video_path] == 1
        assert body["counts"]["peak_in_flight"] == {"page": 1, "slide": 1}
        assert server.request_count == 7
        await client.post(server.url + "/_control/reset")
        assert server.request_count == 0

    on_server(check)


def test_control_shows_changes_and_adds_posts() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        control = server.url + "/_control/posts"
        async with client.get(control, params={"hashes": "0"}) as response:
            assert len((await response.json())["posts"]) == 60
        post = server.world.videos()[0]
        async with client.post(f"{control}/{post.tiktok_id}/metrics", json={"views": 5}) as r:
            assert (await r.json())["metrics"]["views"] == 5
        found = await scope(client, server.url + post.video_path)
        assert found["webapp.video-detail"]["itemInfo"]["itemStruct"]["stats"]["playCount"] == 5
        async with client.post(control, json={"slide_count": 2, "desc": "new #Post"}) as response:
            truth = await response.json()
        assert (truth["slide_count"], truth["hashtags"]) == (2, ["post"])
        assert len(truth["slides"][1]["sha256"]) == 64
        for wrong in ({"views": "5"}, {"claps": 1}, [1]):
            async with client.post(f"{control}/{post.tiktok_id}/metrics", json=wrong) as response:
                assert response.status == 400
        async with client.get(f"{control}/1") as response:
            assert response.status == 404
        await client.post(server.url + "/_control/age", json={"days": 1})
        assert server.world.by_id[post.tiktok_id].metrics.views == 6

    on_server(check)


def test_shaping_slows_slides_down() -> None:
    async def check(server: TikTokServer, client: aiohttp.ClientSession) -> None:
        (mirrors,) = await slide_urls(server, client, server.world.carousels(1)[0])
        async with client.get(mirrors[0]) as response:
            size = len(await response.read())
        loop = asyncio.get_running_loop()
        start = loop.time()
        shaping = {"slide_first_byte_ms": 30, "slide_bytes_per_second": size / 0.1}
        await client.post(server.url + "/_control/shaping", json=shaping)
        async with client.get(mirrors[0]) as response:
            await response.read()
        assert loop.time() - start >= 0.13

    on_server(check, shaping=Shaping(page_latency_ms=(1, 2)))
