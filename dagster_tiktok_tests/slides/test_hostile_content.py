"""Harmful responses, through the whole downloader and mover of a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from PIL import Image

from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.sandbox.tiktok.content import hostile_files
from dagster_tiktok_tests.slides.conftest import MakeSettings
from dagster_tiktok_tests.slides.test_mover import post_of
from dagster_tiktok_tests.support import hostile_images as traps
from dagster_tiktok_tests.support import responses
from dagster_tiktok_tests.support.cdn import Cdn
from dagster_tiktok_tests.support.images import encoded, jpeg
from dagster_tiktok_tests.support.responses import Respond
from dagster_tiktok_tests.support.slide_mover import Moved, Order, moved_elsewhere, settings_of

MOST_MEGABYTES = 250
COLOURS = ("red", "green")


@asynccontextmanager
async def private_server() -> AsyncIterator[tuple[int, list[str]]]:
    """A service that is not for us, on IPv4 and IPv6: its port, and who connected."""
    connected: list[str] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(str(writer.get_extra_info("sockname")))
        writer.close()

    server = await asyncio.start_server(note, "localhost", 0)
    ports = {socket.getsockname()[1] for socket in server.sockets}
    if len(ports) > 1:  # each address family got its own
        server.close()
        server = await asyncio.start_server(note, "localhost", ports.pop())
    async with server:
        yield server.sockets[0].getsockname()[1], connected


def traps_by_name(private_port: int) -> dict[str, tuple[Respond, str]]:
    """Each with the kinds of failure that it may end as."""
    intact = jpeg()
    return {
        "png of 50,000 x 50,000": (responses.image(hostile_files.decompression_bomb()), "bomb"),
        "jpeg of 50,000 x 50,000": (responses.image(traps.huge_jpeg(50_000)), "bomb"),
        "jpeg of 65,535 x 65,535": (responses.image(traps.huge_jpeg(65_535)), "bomb"),
        "gif of 65,535 x 65,535": (responses.image(traps.wide_gif()), "bomb"),
        "webp of 16,384 x 16,384": (responses.image(traps.wide_webp()), "bomb corrupt"),
        "avif of 50,000 x 50,000": (responses.image(traps.wide_avif()), "bomb corrupt"),
        "svg": (
            responses.respond(hostile_files.SVG, content_type="image/svg+xml"),
            "unsupported_type",
        ),
        "zip named .jpeg": (responses.image(hostile_files.zip_file()), "unsupported_type"),
        "jpeg and zip": (responses.image(hostile_files.polyglot(intact)), "trailing_data"),
        "cloud metadata": (
            responses.redirect("http://169.254.169.254/latest/meta-data/"),
            "forbidden_host",
        ),
        "loopback": (responses.redirect(f"http://127.0.0.1:{private_port}/"), "forbidden_host"),
        "loopback, IPv6": (responses.redirect(f"http://[::1]:{private_port}/"), "forbidden_host"),
        "loopback, mapped": (
            responses.redirect(f"http://[::ffff:127.0.0.1]:{private_port}/"),
            "forbidden_host",
        ),
        "loopback, as a number": (
            responses.redirect(f"http://2130706433:{private_port}/"),
            "forbidden_host",
        ),
        "loopback, by name": (
            responses.redirect(f"http://localhost:{private_port}/"),
            "forbidden_host",
        ),
        # `localhost` is on the list of this test: our name that leads to a private IP address.
        "rebound name": (responses.redirect("https://localhost/"), "network"),
        "endless": (responses.endless_image, "too_large"),
        "packed 500 MB": (traps.packed(500), "unsupported_type"),
        "length of 10 GB": (traps.with_length(str(10 * 2**30), intact), "too_large"),
        "length too short": (
            traps.with_length(str(len(intact) // 2), intact),
            "truncated network",
        ),
        "length too long": (traps.with_length(str(2 * len(intact)), intact), "truncated"),
        "two lengths": (
            traps.with_length(f"9\r\nContent-Length: {len(intact)}", intact),
            "network",
        ),
        "negative length": (traps.with_length("-1", intact), "network"),
        "endless header": (
            responses.raw(b"HTTP/1.1 200 OK\r\nX-A: " + bytes(8 * traps.MB)),
            "network",
        ),
        "text of 50 MB": (responses.image(traps.text_bomb(50)), "bomb corrupt"),
        "text of 500 x 1 MB": (responses.image(traps.text_bomb(1, 500)), "bomb corrupt"),
        "colour profile of 50 MB": (responses.image(traps.profile_bomb(50)), "bomb corrupt"),
        "png flood": (responses.image(traps.flood("PNG", 400)), "bomb"),
        "gif flood": (responses.image(traps.flood("GIF", 400)), "bomb"),
        "webp flood": (responses.image(traps.flood("WEBP", 400)), "bomb"),
    }


async def moved(
    make_settings: MakeSettings,
    supabase: SupabaseServer,
    named: dict[str, Respond],
    cdn: Cdn,
    **limits: float,
) -> tuple[Moved, set[str]]:
    """One post with a slide for each response; what became of it, and the names in the bucket.

    `limits` are those of `Order`. They are so wide that a busy machine meets none of them.
    """
    settings = make_settings(
        supabase_url=supabase.url,
        supabase_key=supabase.secret_key,
        slide_allowed_hosts=f"{cdn.host},localhost",
    )
    paths = [str(number) for number in range(1, len(named) + 1)]
    for path, respond in zip(paths, named.values()):
        cdn.on(path, respond)
    post = post_of(*(cdn.slide(int(path), path) for path in paths))
    order = Order(
        settings=settings_of(settings),
        posts=(post,),
        attempts=1,
        **{"idle_seconds": 240, "total_seconds": 480, **limits},
    )
    (result,) = await moved_elsewhere(order)
    async with open_supabase(settings) as client:
        objects = await client.storage.from_(settings.supabase_bucket).list(post.tiktok_id)
    return result, {Path(entry["name"]).name[:2] for entry in objects}


def test_every_hostile_file_is_rejected_within_the_limits_and_leaves_nothing(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with private_server() as (port, connected), Cdn() as cdn:
            named = traps_by_name(port)
            sound = responses.image(jpeg(99))
            every = {name: answer for name, (answer, _) in named.items()} | {"sound": sound}
            result, in_bucket = await moved(make_settings, supabase, every, cdn)

        (kinds,) = result.kinds.values()
        found = {name: kinds.get(number, "stored") for number, name in enumerate(every, 1)}
        assert found.pop("sound") == "stored"
        assert {
            name: kind for name, kind in found.items() if kind not in named[name][1].split()
        } == {}
        assert in_bucket == {f"{len(every):02}"}
        assert [Path(name).suffix for name in result.left_in_cache] == [".slide"]
        assert connected == []
        assert result.peak_mb < MOST_MEGABYTES

    asyncio.run(run())


def test_a_dripping_body_ends_at_the_total_timeout_and_leaves_nothing(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        async with Cdn() as cdn:
            every: dict[str, Respond] = {"drip": traps.drip()}
            result, in_bucket = await moved(make_settings, supabase, every, cdn, total_seconds=2)

        assert list(result.kinds.values()) == [{1: "network"}]
        assert (in_bucket, result.left_in_cache) == (set(), [])

    asyncio.run(run())


def test_memory_stays_within_bounds_with_the_largest_accepted_images(
    make_settings: MakeSettings, supabase: SupabaseServer
) -> None:
    async def run() -> None:
        images = [
            *[traps.segments(0xFE, bytes([number]) * 65_000, 300) for number in range(3)],
            *[encoded("WEBP", Image.new("RGB", (1950, 1950), c), method=0) for c in COLOURS],
            encoded("AVIF", Image.new("RGB", (2100, 2100)), speed=10),
            encoded("JPEG", Image.new("RGB", (2850, 2850)), progressive=True, subsampling=0),
            *[encoded("PNG", Image.new("RGB", (4050, 4050), c), compress_level=1) for c in COLOURS],
        ]
        every = {str(number): responses.image(image) for number, image in enumerate(images)}
        async with Cdn() as cdn:
            result, in_bucket = await moved(make_settings, supabase, every, cdn)

        assert list(result.kinds.values()) == [{}]
        assert len(in_bucket) == len(images)
        assert result.peak_mb < MOST_MEGABYTES

    asyncio.run(run())
