"""A CDN for the benchmarks, in a process of its own: real JPEGs of 100 to 500 KB, each unique.

It costs little processor time, so that what is measured is the client: the sandbox's TikTok draws,
signs and logs, and would be the slowest part. `/shaped/7` answers as the real CDN does (30 ms to
the first byte, 5 MB a second on each connection), `/plain/7` as fast as it goes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from dagster_tiktok.models import SlideSource
from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost, FakeSlide
from dagster_tiktok.sandbox.tiktok.content.slide_images import draw
from dagster_tiktok.sandbox.tiktok.content.world import World

FIRST_BYTE_SECONDS = 0.03
BYTES_PER_SECOND = 5_000_000
_PIECE_BYTES = 64 * 1024
_SIZES = ((810, 1080), (1080, 1440), (1080, 1920), (1440, 1440))
_VARIANTS = 4
_SMALLEST, _LARGEST = 100_000, 500_000


def source(base_url: str, number: int, *, shaped: bool) -> SlideSource:
    """The slide of that number: other numbers are other pictures."""
    return SlideSource(
        number=1,
        mirrors=(f"{base_url}/{'shaped' if shaped else 'plain'}/{number}",),
        image_key=f"{number:032x}",
    )


@contextmanager
def cdn() -> Iterator[str]:
    """Its address, without a slash at the end."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    theirs.close()  # so that a server that fails to start ends the wait for its port
    port = ours.recv()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        ours.send(None)
        process.join()


def _serve(parent: Connection) -> None:
    async def until_told() -> None:
        pictures = _images()
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(pictures), "127.0.0.1"
        )
        parent.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(parent.recv)
        server.close()

    asyncio.run(until_told())


def _images() -> list[bytes]:
    post: FakePost = World(posts=1).posts[0]
    drawn = (
        draw(post, FakeSlide(1, f"{variant:02x}{0:030x}", width, height, "jpeg", "photo")).data
        for width, height in _SIZES
        for variant in range(_VARIANTS)
    )
    return [picture for picture in drawn if _SMALLEST <= len(picture) <= _LARGEST]


class _Connection(asyncio.Protocol):
    """Serves GET requests, one after the other."""

    def __init__(self, pictures: list[bytes]) -> None:
        self._images = pictures
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(b"\r\n\r\n"):
            return
        _, speed, name = self._received.split(b" ", 2)[1].split(b"/")
        self._received = b""
        number = int(name)
        picture = self._images[number % len(self._images)]
        comment = b"\xff\xfe\x00\x12%016d" % number
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nAccept-Ranges: bytes\r\n"
            b'Content-Length: %d\r\nETag: "%d"\r\n\r\n' % (len(picture) + len(comment), number)
        )
        if speed == b"shaped":
            begins = self._loop.time() + FIRST_BYTE_SECONDS
            first = head + picture[:2] + comment
            self._loop.call_at(begins, self._send_slowly, first, memoryview(picture)[2:], begins)
        else:
            self._transport.write(b"".join((head, picture[:2], comment, picture[2:])))

    def _send_slowly(self, piece: bytes | memoryview, rest: memoryview, due: float) -> None:
        """Writes a piece when its last byte would have come through the line, then the next."""
        if self._transport.is_closing():
            return
        self._transport.write(piece)
        if rest:
            following, rest = rest[:_PIECE_BYTES], rest[_PIECE_BYTES:]
            due += len(following) / BYTES_PER_SECOND
            self._loop.call_at(due, self._send_slowly, following, rest, due)
