"""Every kind of fault, as a client meets it over a real socket."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from PIL import Image

from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import FAULT_KINDS, Fault
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer

pytestmark = pytest.mark.slow

TIMEOUT = aiohttp.ClientTimeout(total=60)


async def _add(client: aiohttp.ClientSession, server: TikTokServer, **fault: Any) -> None:
    async with client.post(server.url + "/_control/faults", json=fault) as response:
        assert response.status == 200, await response.text()


def fetch(kind: str, on: str, **fault: Any) -> tuple[int, Mapping[str, str], bytes]:
    """One request for a page or slide 1 on a server with that fault, and one that is fine."""

    async def run() -> tuple[int, Mapping[str, str], bytes]:
        world = World(posts=60)
        post = world.carousels(6)[0]
        async with TikTokServer(world) as server, aiohttp.ClientSession(timeout=TIMEOUT) as client:
            url = server.url + post.video_path
            if on == "slide":
                url = server.signer.make_urls(server.url, post.slides[0].image_key)[0]
            # aiohttp itself asks a second time when a connection ends before the first byte.
            times = 2 if kind == "reset" else 1
            await _add(client, server, kind=kind, on=on, times=times, **fault)
            try:
                async with client.get(url, allow_redirects=False) as response:
                    found = response.status, response.headers, await response.read()
            finally:
                assert [entry.fault for entry in server.log.entries] == [kind] * times
                async with client.get(url) as response:
                    assert response.status == 200
                    assert await response.read()
            return found

    return asyncio.run(run())


def test_429_with_retry_after() -> None:
    status, headers, body = fetch("status", "page", status=429, retry_after=3)
    assert (status, headers["Retry-After"], body) == (429, "3", b"")


@pytest.mark.parametrize("status", [403, 500, 503])
def test_status_fault(status: int) -> None:
    assert fetch("status", "slide", status=status)[0] == status


@pytest.mark.parametrize(
    ("kind", "size"), [("challenge", 1400), ("captcha", 5700), ("empty", 0), ("short", 640)]
)
def test_rejection_is_a_small_page_without_data(kind: str, size: int) -> None:
    status, _, body = fetch(kind, "page")
    assert status == 200
    assert len(body) == pytest.approx(size, abs=60)
    assert b"REHYDRATION" not in body


def test_login_redirect() -> None:
    status, headers, _ = fetch("login_redirect", "page")
    assert status == 302
    assert headers["Location"].startswith("/login?")


def test_redirect_fault() -> None:
    status, headers, _ = fetch("redirect", "slide")
    assert (status, headers["Location"].split("/")[2]) == (302, "169.254.169.254")


def test_no_script_is_a_whole_page_without_data() -> None:
    status, _, body = fetch("no_script", "page")
    assert status == 200
    assert len(body) > 200_000
    assert b"__DEFAULT_SCOPE__" not in body


def test_unavailable_page_has_the_status() -> None:
    body = fetch("unavailable", "page", status_code=10113, status_msg="shield")[2]
    assert b'"statusCode":10113,"statusMsg":"shield"' in body
    assert b"itemStruct" not in body


def test_wrong_id_shows_another_post() -> None:
    asked = World(posts=60).carousels(6)[0].tiktok_id.encode()
    body = fetch("wrong_id", "page")[2]
    assert b'"itemStruct":{"id":"' in body
    assert b'"itemStruct":{"id":"' + asked not in body


@pytest.mark.parametrize("on", ["page", "slide"])
@pytest.mark.parametrize("kind", ["cut_off", "reset", "wrong_length"])
def test_client_notices_a_broken_body(kind: str, on: str) -> None:
    with pytest.raises(aiohttp.ClientError):
        fetch(kind, on)


@pytest.mark.parametrize("kind", ["stall", "endless"])
def test_endless_body_ends_only_when_the_client_stops(kind: str) -> None:
    async def run() -> None:
        world = World(posts=60)
        slide = world.carousels(6)[0].slides[0]
        async with TikTokServer(world) as server, aiohttp.ClientSession() as client:
            server.faults.add(Fault(kind, on="slide"))
            url = server.signer.make_urls(server.url, slide.image_key)[0]
            received = 0
            limit = 3_000_000
            # Only silence is waited out.
            patience = aiohttp.ClientTimeout(sock_read=0.3 if kind == "stall" else 60)
            try:
                async with client.get(url, timeout=patience) as response:
                    async for chunk in response.content.iter_any():
                        received += len(chunk)
                        if received > limit:
                            break
            except aiohttp.ServerTimeoutError:
                assert kind == "stall"
            assert (received > limit) is (kind == "endless")
            while server.log.in_flight["slide"]:
                await asyncio.sleep(0.02)

    asyncio.run(run())


def test_expired_url_is_403() -> None:
    assert fetch("expired", "slide")[0] == 403


def test_truncated_image_does_not_decode() -> None:
    status, headers, body = fetch("truncated_image", "slide")
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    with pytest.raises(OSError, match="truncated"):
        Image.open(BytesIO(body)).load()


def test_files_that_are_no_images_come_with_status_200() -> None:
    assert fetch("html", "slide")[2].startswith(b"<!DOCTYPE html>")
    assert b"<svg" in fetch("svg", "slide")[2]
    assert zipfile.is_zipfile(BytesIO(fetch("zip", "slide")[2]))
    both = BytesIO(fetch("polyglot", "slide")[2])
    assert zipfile.is_zipfile(both)
    Image.open(both).load()


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_pillow_rejects_the_huge_image() -> None:
    body = fetch("huge_image", "slide")[2]
    assert len(body) < 400_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(BytesIO(body))


def test_ignored_range_sends_the_whole_image() -> None:
    async def run() -> None:
        world = World(posts=60)
        slide = world.carousels(6)[0].slides[0]
        async with TikTokServer(world) as server, aiohttp.ClientSession() as client:
            server.faults.add(Fault("ignore_range"))
            url = server.signer.make_urls(server.url, slide.image_key)[0]
            async with client.get(url, headers={"Range": "bytes=100-"}) as response:
                assert response.status == 200
                Image.open(BytesIO(await response.read())).load()

    asyncio.run(run())


def test_control_lists_and_clears_faults_of_every_kind() -> None:
    async def run() -> None:
        async with TikTokServer(World(posts=5)) as server, aiohttp.ClientSession() as client:
            address = server.url + "/_control/faults"
            async with client.post(address, json=[{"kind": kind} for kind in FAULT_KINDS]) as r:
                assert len((await r.json())["ids"]) == len(FAULT_KINDS)
            async with client.delete(address, params={"id": "1"}) as response:
                assert response.status == 200
            async with client.get(address) as response:
                assert len((await response.json())["faults"]) == len(FAULT_KINDS) - 1
            await client.delete(address)
            assert server.faults.listed() == []
            for wrong in ("{", '{"kind": "nonsense"}', '{"kind": "svg", "on": "page"}'):
                async with client.post(address, data=wrong) as response:
                    assert response.status == 400
                    assert "error" in await response.json()

    asyncio.run(run())


def test_slow_delays_the_response() -> None:
    async def run() -> float:
        world = World(posts=5)
        async with TikTokServer(world) as server, aiohttp.ClientSession() as client:
            server.faults.add(Fault("slow", latency_ms=(150, 160)))
            async with client.get(server.url + world.posts[0].video_path) as response:
                await response.read()
            return server.log.entries[0].duration_ms or 0

    assert asyncio.run(run()) >= 150
