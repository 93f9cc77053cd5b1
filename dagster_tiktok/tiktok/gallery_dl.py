"""Runs gallery-dl for operators who set TIKTOK_FALLBACK. It is no part of this project.

It runs as a process, because it is under the GPL and this project is not. It solves challenges,
which this project never does, so it is off by default (see docs/tiktok.md). Its output is as
hostile as the page that it read.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.models import Post
from dagster_tiktok.tasks import run_together
from dagster_tiktok.tiktok.failures import FailureKind, unreadable
from dagster_tiktok.tiktok.pages.post_page import parse_scope

PROGRAM = "gallery-dl"
TIMEOUT_SECONDS = 120.0
MAX_OUTPUT_BYTES = 5 * 1024 * 1024
_MAX_LOG_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024
_END_SECONDS = 5.0

# What a program needs to start and to reach the network, and no secret of ours.
PASSED_ON = frozenset(
    {
        "PATH", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
        "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
    }
)  # fmt: skip
# Its debug log names every request: `… https://www.tiktok.com:443 "GET /… HTTP/1.1" 200 None`.
_REQUEST = re.compile(rb'"[A-Z]+ [^"\n]* HTTP/[0-9.]+" [0-9]{3}')
_COMPLAINT = re.compile(rb"^\[[^\n]*\]\[(?:error|warning)\] ([^\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class ProgramExit:
    """`requests`: how many its log has, at least one. `complaint`: the last error in its log."""

    output: bytes
    requests: int
    complaint: str


def find_program(beside: str = sys.executable, path: str | None = None) -> Path:
    """The program beside this Python, else the one on the PATH.

    Arguments:
        beside: a file in the folder to search first.
        path: replaces the environment's PATH.

    Raises:
        ConfigurationError: it is not installed.
    """
    found = shutil.which(PROGRAM, path=Path(beside).parent) or shutil.which(PROGRAM, path=path)
    if found is None:
        raise ConfigurationError(
            "TIKTOK_FALLBACK is gallery-dl, but there is no such program beside this Python or on "
            "the PATH: pip install gallery-dl, or unset it."
        )
    return Path(found)


def environment(own: Mapping[str, str], home: str) -> dict[str, str]:
    """The program's environment: none of our secrets, no user configuration, an empty home.

    The standard variables for proxies and certificates are passed on.
    """
    passed = {name: value for name, value in own.items() if name.upper() in PASSED_ON}
    return {**passed, "HOME": home, "XDG_CACHE_HOME": home, "PYTHONUTF8": "1"}


class GalleryDl:
    """The program with its options.

    Arguments:
        seconds_between_requests: the pause between two requests of the program.
    """

    def __init__(
        self,
        path: Path,
        user_agent: str,
        seconds_between_requests: float,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.path = path
        # It pauses between requests: a page, the solution of a challenge, the canonical URL.
        self._timeout_seconds = timeout_seconds + 3 * seconds_between_requests
        self._options = (
            "--config-ignore", "--no-input", "--no-colors", "--verbose", "--dump-json",
            "--retries=0", "--http-timeout=30",
            f"--sleep-request={seconds_between_requests:.3f}",
            f"--user-agent={user_agent}",
            "-o", "cache.file=:memory:", "-o", "cookies-update=false",
            # We only want the item: without its files it makes no further requests.
            "-o", "photos=false", "-o", "videos=false", "-o", "audio=false",
        )  # fmt: skip

    async def run(self, post_url: str) -> ProgramExit:
        """Runs the program for one post.

        Raises:
            PostUnreadableError: it did not start, took too long, or printed too much.
        """
        with TemporaryDirectory(prefix="gallery-dl-") as folder:
            try:
                process = await asyncio.create_subprocess_exec(
                    self.path, *self._options, post_url,
                    cwd=folder,
                    env=environment(os.environ, folder),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                )  # fmt: skip
            except OSError as error:
                detail = f"gallery-dl did not start: {error.strerror}"
                raise unreadable(FailureKind.UNREADABLE, detail) from error
            try:
                output, log = await asyncio.wait_for(_read(process), self._timeout_seconds)
            except asyncio.TimeoutError:
                detail = f"gallery-dl took more than {self._timeout_seconds:g} seconds"
                raise unreadable(FailureKind.UNREADABLE, detail) from None
            finally:
                await _end(process)
        complaints = _COMPLAINT.findall(log)
        return ProgramExit(
            output=output,
            requests=max(1, len(_REQUEST.findall(log))),
            complaint=complaints[-1][:300].decode("utf-8", "replace") if complaints else "",
        )


def parse_output(
    ended: ProgramExit, *, expected_id: str, scraped_at: datetime, is_photo: bool = False
) -> Post:
    """The post in the program's output, which contains the page's own item.

    Arguments: as of `pages.post_page.parse_post_page`.

    Raises:
        PostUnavailableError: the item says that it can't be seen.
        PostUnreadableError: there is no post in it, or another one.
    """
    item = _item(ended)
    scope = {"webapp.video-detail": {"itemInfo": {"itemStruct": item}, "statusCode": 0}}
    return parse_scope(
        scope,
        expected_id=expected_id,
        scraped_at=scraped_at,
        is_photo=is_photo,
        scraping_method=PROGRAM,
    )


def _item(ended: ProgramExit) -> dict[str, Any]:
    try:
        messages = json.loads(ended.output)
    except (ValueError, RecursionError) as error:
        detail = f"gallery-dl's output is not JSON: {type(error).__name__}"
        raise unreadable(FailureKind.UNREADABLE, detail) from None
    for message in messages if isinstance(messages, list) else []:
        last = message[-1] if isinstance(message, list) and message else None
        if isinstance(last, dict) and "id" in last:
            return last
    detail = f"gallery-dl found no post: {ended.complaint or 'it does not say why'}"
    raise unreadable(FailureKind.UNREADABLE, detail)


async def _read(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    output, log = await run_together(
        [_read_output(_pipe(process.stdout)), _read_start(_pipe(process.stderr))]
    )
    await process.wait()
    return output, log


async def _read_output(pipe: asyncio.StreamReader) -> bytes:
    data = bytearray()
    while chunk := await pipe.read(_READ_BYTES):
        data += chunk
        if len(data) > MAX_OUTPUT_BYTES:
            detail = f"gallery-dl printed more than {MAX_OUTPUT_BYTES} bytes"
            raise unreadable(FailureKind.UNREADABLE, detail)
    return bytes(data)


async def _read_start(pipe: asyncio.StreamReader) -> bytes:
    """Reads to the end, so that the program is not blocked, and keeps the beginning."""
    data = bytearray()
    while chunk := await pipe.read(_READ_BYTES):
        data += chunk[: _MAX_LOG_BYTES - len(data)]
    return bytes(data)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kills the program if it still runs, and drains its pipes."""
    with suppress(ProcessLookupError):
        process.kill()
    pipes = [_read_start(_pipe(process.stdout)), _read_start(_pipe(process.stderr))]
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.gather(*pipes, process.wait()), _END_SECONDS)


def _pipe(pipe: asyncio.StreamReader | None) -> asyncio.StreamReader:
    if pipe is None:
        raise ValueError("the process has no pipe")
    return pipe
