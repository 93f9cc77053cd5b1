"""The separate program: as it is, on the sandbox; and programs that play it and do harm."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.models import Post
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok.sandbox.tiktok.http.server import TikTokServer
from dagster_tiktok.settings import load_settings
from dagster_tiktok.tiktok import gallery_dl
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok.tiktok.failures import FailureKind, PostError
from dagster_tiktok.tiktok.gallery_dl import (
    PASSED_ON,
    GalleryDl,
    ProgramExit,
    find_program,
    parse_output,
)
from dagster_tiktok_tests.support.sample_pages import POST_ID, carousel, item
from dagster_tiktok_tests.support.settings import ENVIRONMENT, tiktok_settings
from dagster_tiktok_tests.support.tls_proxy import TlsProxy

pytestmark = pytest.mark.slow

NOW = datetime(2026, 9, 22, 12, tzinfo=timezone.utc)
ADDRESS = f"https://www.tiktok.com/@_/video/{POST_ID}"
KEY = "6d5fe602159d40809b622acba205baae"


def parse(output: Any, complaint: str = "") -> Post:
    data = output if isinstance(output, bytes) else json.dumps(output).encode()
    return parse_output(ProgramExit(data, 1, complaint), expected_id=POST_ID, scraped_at=NOW)


def played(folder: Path, script: str) -> Path:
    """A program that is not gallery-dl."""
    program = folder / "gallery-dl"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\n{script}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def run_played(
    folder: Path, script: str, *, agent: str = "agent", timeout_seconds: float = 120
) -> ProgramExit:
    program = GalleryDl(played(folder, script), agent, 0.5, timeout_seconds=timeout_seconds)
    return asyncio.run(program.run(ADDRESS))


def on_the_real_program(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[TikTokServer, TikTokClient], Awaitable[None]],
    **settings: object,
) -> None:
    """`check` with a client whose program takes the sandbox for www.tiktok.com."""

    async def run() -> None:
        async with TikTokServer(World(posts=90)) as server:
            with TlsProxy(("127.0.0.1", server.port), folder) as proxy:
                monkeypatch.setenv("HTTPS_PROXY", proxy.url)
                monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "throwaway.pem"))
                values = tiktok_settings(server.url, tiktok_fallback="gallery-dl", **settings)
                async with TikTokClient(values, pause_seconds=0) as client:
                    await check(server, client)

    asyncio.run(run())


@pytest.mark.slow
def test_program_reads_the_same_post_as_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(server: TikTokServer, client: TikTokClient) -> None:
        post = server.world.carousels(6)[0]
        server.faults.add(Fault("challenge", on="page", times=1))
        found = await client.fetch_with_fallback(post.tiktok_id)
        own = await client.fetch_post(post.tiktok_id, with_followers=False)

        assert found.scraping_method == "gallery-dl"
        same = found.model_dump(exclude={"scraping_method", "scraped_at", "slides"})
        assert same == own.model_dump(exclude={"scraping_method", "scraped_at", "slides"})
        assert [(s.number, s.image_key, s.width) for s in found.slides] == [
            (s.number, s.image_key, s.width) for s in post.slides
        ]
        # It answers the challenge by itself, which is one request more.
        entries = server.log.selected(kind="page")
        assert [entry.fault for entry in entries] == ["challenge", None, None]
        assert {entry.path for entry in entries} == {f"/@_/video/{post.tiktok_id}"}
        assert {entry.user_agent for entry in entries} == {"An honest one/1.0"}
        assert client.requests_made == server.request_count == 3
        assert (await client.check()).endswith(f"; the fallback is {find_program()}")

    on_the_real_program(tmp_path, monkeypatch, check, tiktok_user_agent="An honest one/1.0")


@pytest.mark.slow
def test_program_says_why_a_post_is_missing_and_is_rate_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(server: TikTokServer, client: TikTokClient) -> None:
        server.faults.add(Fault("no_script", on="page"))
        began = time.monotonic()
        for name in ("deleted", "private"):
            with pytest.raises(PostError) as caught:
                await client.fetch_with_fallback(server.world.unavailable(name).tiktok_id)
            assert caught.value.kind is FailureKind.UNREADABLE
            assert "gallery-dl found no post: " in caught.value.detail
        # Each asked twice: for a page without data it looks for a challenge, and asks again.
        assert client.requests_made == server.request_count
        assert time.monotonic() - began >= (server.request_count - 1) / 2

    on_the_real_program(tmp_path, monkeypatch, check, tiktok_requests_per_second=2)


def test_program_sees_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUPABASE_KEY", "GOOGLE_SHEETS_CREDENTIALS", "PYTHONPATH", "PGPASSWORD"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/own.pem")
    script = (
        "import json\n"
        "open('left', 'w').write('x')\n"
        "print(json.dumps([os.environ.copy(), sys.argv[1:], os.getcwd(), sys.stdin.read()]))"
    )
    ended = run_played(tmp_path, script, agent="-a; $(rm -rf /)")
    seen, arguments, folder, typed = json.loads(ended.output)

    assert {name.upper() for name in seen} <= {"HOME", "XDG_CACHE_HOME", "PYTHONUTF8", *PASSED_ON}
    assert (seen["https_proxy"], seen["SSL_CERT_FILE"]) == ("http://127.0.0.1:9", "/etc/own.pem")
    assert "secret" not in seen.values()
    assert seen["HOME"] == folder
    assert not Path(folder).exists(), "what it writes is gone with it"
    assert arguments[-1] == ADDRESS
    assert "--user-agent=-a; $(rm -rf /)" in arguments
    assert {"--config-ignore", "--dump-json", "--retries=0"} <= set(arguments)
    assert typed == ""


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ("time.sleep(600)", "gallery-dl took more than"),
        ("sys.stderr.write('x' * 10**7); time.sleep(600)", "gallery-dl took more than"),
        ("os.close(1); time.sleep(600)", "gallery-dl took more than"),
    ],
)
def test_program_is_killed_after_the_timeout(tmp_path: Path, script: str, detail: str) -> None:
    noted = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
    seconds = 1.0
    # Longer, until the program had begun before its time was up.
    while not (tmp_path / "pid").exists():
        with pytest.raises(PostError) as caught:
            run_played(tmp_path, noted + script, timeout_seconds=seconds)
        assert caught.value.kind is FailureKind.UNREADABLE
        assert caught.value.detail.startswith(detail)
        seconds *= 2
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_program_is_killed_when_its_output_is_too_large(tmp_path: Path) -> None:
    noted = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
    script = noted + "while True: sys.stdout.write('x' * 10**6)"
    with pytest.raises(PostError) as caught:
        run_played(tmp_path, script, timeout_seconds=600)
    assert caught.value.detail.startswith("gallery-dl printed more than")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_failure_when_the_program_cannot_start(tmp_path: Path) -> None:
    program = tmp_path / "gallery-dl"
    program.write_text("#!/no/such/python\n")
    program.chmod(0o755)
    with pytest.raises(PostError) as caught:
        asyncio.run(GalleryDl(program, "agent", 0).run(ADDRESS))
    assert caught.value.detail == "gallery-dl did not start: No such file or directory"


def test_requests_and_last_error_are_read_from_the_log(
    tmp_path: Path,
) -> None:
    log = (
        '[urllib3.connectionpool][debug] https://www.tiktok.com:443 "GET /a HTTP/1.1" 200 None\n'
        '[urllib3.connectionpool][debug] https://www.tiktok.com:443 "GET /b HTTP/1.1" 302 0\n'
        "[tiktok][warning] first\n"
        "[tiktok][error] lost \x1b[31m\xff\n"
        "[tiktok][debug] nothing\n"
    )
    ended = run_played(tmp_path, f"sys.stderr.buffer.write({log.encode('latin-1')!r}); print('[]')")
    assert (ended.output, ended.requests) == (b"[]\n", 2)
    assert ended.complaint == "lost \x1b[31m\ufffd"
    with pytest.raises(PostError) as caught:
        parse(ended.output, ended.complaint)
    assert caught.value.detail == "gallery-dl found no post: lost  [31m\ufffd"
    assert run_played(tmp_path, "pass").requests == 1


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (b"", FailureKind.UNREADABLE),
        (b"Traceback", FailureKind.UNREADABLE),
        (b"\xff\xfe\xff", FailureKind.UNREADABLE),
        (b"[" * 200_000, FailureKind.UNREADABLE),
        (b'[[2, {"id": ' + b"9" * 10_000 + b"}]]", FailureKind.UNREADABLE),
        ([], FailureKind.UNREADABLE),
        ({"id": POST_ID}, FailureKind.UNREADABLE),
        ([[-1, {"error": "HttpError", "message": "no"}]], FailureKind.UNREADABLE),
        ([[2, {"id": "7665075736742530317"}]], FailureKind.WRONG_ID),
        ([[2, {"id": "../../etc"}]], FailureKind.INCOMPLETE),
        ([[2, item(stats=None, statsV2=None)]], FailureKind.LOGIN_WALL),
        ([[2, item(privateItem=True)]], FailureKind.PRIVATE),
    ],
)
def test_failure_kind_when_output_has_no_post(output: Any, kind: FailureKind) -> None:
    with pytest.raises(PostError) as caught:
        parse(output)
    assert caught.value.kind is kind


def test_fields_added_by_the_program_change_nothing() -> None:
    own = {"user": "x", "date": "2026-09-04 16:51:37", "post_type": "image", "category": "tiktok"}
    post = parse([[2, {**carousel(KEY), **own}], [3, "https://a/", {"id": "1"}]])
    assert [slide.image_key for slide in post.slides] == [KEY]
    assert (post.metrics.views, post.account, post.data_quality) == (254088, "nasa", "no_account")


json_values = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.just(POST_ID),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*item(), "imagePost"]) | st.text(), inner, max_size=5)
    ),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None, database=None)
@given(json_values, st.binary(max_size=200))
def test_any_output_is_a_post_or_a_post_error(value: Any, noise: bytes) -> None:
    for output in (noise, value, [[2, value]], [[2, {**item(), "stats": value, "author": value}]]):
        try:
            post = parse(output)
        except PostError:
            continue
        assert Post.model_validate_json(post.model_dump_json()) == post


def test_program_beside_python_comes_before_the_path(tmp_path: Path) -> None:
    for name in ("own", "other", "empty"):
        (tmp_path / name).mkdir()
    own, other = played(tmp_path / "own", "pass"), played(tmp_path / "other", "pass")
    python, empty = str(tmp_path / "own" / "python"), str(tmp_path / "empty" / "python")
    assert find_program(python, str(other.parent)) == own
    assert find_program(empty, str(other.parent)) == other
    with pytest.raises(ConfigurationError, match="pip install gallery-dl"):
        find_program(empty, str(tmp_path / "empty"))


def test_message_when_the_program_is_not_installed(
    tmp_path: Path,
) -> None:
    # Another Python than the project's, so that nothing stands beside it.
    python = tmp_path / "python"
    python.symlink_to(Path(sys.executable).resolve())
    script = (
        "from dagster_tiktok.settings import load_settings\n"
        "from dagster_tiktok.tiktok.client import TikTokClient\n"
        "TikTokClient(load_settings(None))"
    )
    ended = subprocess.run(
        [python, "-c", script],
        env={
            **ENVIRONMENT,
            "TIKTOK_FALLBACK": "gallery-dl",
            "PATH": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        cwd=Path(gallery_dl.__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    last = ended.stderr.splitlines()[-1]
    assert "ConfigurationError: TIKTOK_FALLBACK is gallery-dl, but there is no such program" in last
    assert "pip install gallery-dl" in last


@pytest.mark.parametrize("value", ["gallery_dl", "yes", "yt-dlp", "Gallery-DL"])
def test_message_when_the_fallback_is_unknown(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, given_value in ENVIRONMENT.items():
        monkeypatch.setenv(name, given_value)
    monkeypatch.setenv("TIKTOK_FALLBACK", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None)
    assert re.match("TIKTOK_FALLBACK must be gallery-dl or not set: correct", str(caught.value))
    monkeypatch.setenv("TIKTOK_FALLBACK", "")
    assert load_settings(None).tiktok_fallback is None
