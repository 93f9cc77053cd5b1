from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.slides.cache.cache import SlideCache
from dagster_tiktok.slides.cache.entry import CacheEntry
from dagster_tiktok.slides.failures import SlideError

KEYS = [f"{number:032x}" for number in range(100)]
KB = 1024


def opened(directory: Path, *, max_mb: int = 1) -> SlideCache:
    cache = SlideCache(directory, max_mb=max_mb, min_free_mb=0)
    cache.prepare()
    return cache


async def written(cache: SlideCache, key: str, size: int, *, age: float = 0.0) -> CacheEntry:
    entry = cache.open(key)
    await cache.reserve(entry, size)
    entry.restart('"etag"')
    entry.write(bytes(size))
    if age:
        entry.finish()
        then = time.time() - age
        os.utime(entry.path, (then, then))
    return entry


def on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_a_finished_file_is_found_by_its_key(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    entry = asyncio.run(written(cache, KEYS[0], 10 * KB, age=1))
    entry.release()
    again = opened(tmp_path).open(KEYS[0])
    assert again.finished
    assert again.size == 10 * KB


def test_any_key_stays_inside_the_folder(tmp_path: Path) -> None:
    entry = opened(tmp_path / "cache").open("../../etc/passwd")
    assert entry.path.parent == tmp_path / "cache"


def test_the_least_recently_used_files_are_removed_first(tmp_path: Path) -> None:
    async def run() -> None:
        cache = opened(tmp_path)
        for number in range(30):
            (await written(cache, KEYS[number], 100 * KB, age=100 - number)).release()
            assert on_disk(tmp_path) <= KB * KB
        kept = {path.stem for path in tmp_path.glob("*.slide")}
        assert kept == set(KEYS[30 - len(kept) : 30])
        assert len(kept) >= 8

    asyncio.run(run())


def test_files_in_use_are_kept_until_they_are_released(tmp_path: Path) -> None:
    async def run() -> None:
        cache, other_process = opened(tmp_path), opened(tmp_path)
        resting = await written(cache, KEYS[0], 300 * KB, age=10)
        resting.release()
        used_elsewhere = other_process.open(KEYS[0])
        mine = await written(cache, KEYS[1], 400 * KB)
        waiting = asyncio.ensure_future(written(cache, KEYS[2], 400 * KB))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        mine.finish()
        mine.release()
        await waiting
        assert used_elsewhere.path.exists()
        assert not (tmp_path / f"{KEYS[1]}.slide").exists()

    asyncio.run(run())


def test_two_downloads_of_one_key_write_to_different_files(tmp_path: Path) -> None:
    async def run() -> None:
        one, other = opened(tmp_path), opened(tmp_path)
        first, second = await written(one, KEYS[0], 5), await written(other, KEYS[0], 7)
        assert first.path != second.path
        first.finish()
        second.finish()
        # The first may be under way to the bucket by its name.
        assert (first.path.stat().st_size, second.path.stat().st_size) == (5, 7)
        first.release()
        second.release()
        assert [path.name for path in tmp_path.iterdir()] == [f"{KEYS[0]}.slide"]

    asyncio.run(run())


def test_the_part_file_of_a_killed_process_is_resumed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from dagster_tiktok.slides.cache.cache import SlideCache\n"
        "cache = SlideCache(pathlib.Path(sys.argv[1]), max_mb=1, min_free_mb=0)\n"
        "entry = cache.open(sys.argv[2])\n"
        "entry.restart('\"v1\"')\n"
        "entry.write(b'half')\n"
        "entry.keep_origin()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), KEYS[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        while_alive = opened(tmp_path).open(KEYS[0])
        assert (while_alive.size, while_alive.etag) == (0, None)
        while_alive.release()
        process.send_signal(signal.SIGKILL)
    after = opened(tmp_path).open(KEYS[0])
    assert (after.size, after.etag) == (4, '"v1"')


def test_preparing_the_cache_removes_only_orphaned_files(tmp_path: Path) -> None:
    old = tmp_path / f"{KEYS[0]}.part"
    second_download = tmp_path / f"{KEYS[1]}.{'0' * 16}.part"
    lost_etag = tmp_path / f"{KEYS[2]}.etag"
    resumable = tmp_path / f"{KEYS[3]}.part"
    foreign = tmp_path / "notes.txt"
    for path in (old, second_download, lost_etag, resumable, foreign):
        path.write_text("x")
    os.utime(old, (0, 0))
    opened(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([resumable, foreign])


def test_a_nearly_full_disk_is_reported_by_variable(tmp_path: Path) -> None:
    cache = SlideCache(tmp_path, max_mb=1, min_free_mb=10**9)
    with pytest.raises(ConfigurationError, match="SLIDE_MIN_FREE_MB"):
        cache.prepare()


def test_a_slide_fails_as_disk_full_when_the_disk_fills_up(tmp_path: Path) -> None:
    cache = SlideCache(tmp_path, max_mb=1, min_free_mb=10**9)
    with pytest.raises(SlideError) as caught:
        asyncio.run(cache.reserve(cache.open(KEYS[0]), 1))
    assert caught.value.kind == "disk_full"


def test_a_file_in_place_of_the_folder_is_reported_by_variable(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(ConfigurationError, match="SLIDE_CACHE_DIR"):
        opened(tmp_path / "cache")


def test_a_deleted_folder_fails_the_slide_and_not_the_stage(tmp_path: Path) -> None:
    cache = opened(tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    with pytest.raises(SlideError) as caught:
        cache.open(KEYS[0])
    assert caught.value.kind == "cache_error"


@pytest.mark.parametrize(
    "said", [b"\0" * 20, b'"a\x7f"\n5', b'"a"\n' + b"9" * 5000, b"\xff", b"W/1\n5"]
)
def test_damaged_metadata_of_a_part_file_is_ignored(tmp_path: Path, said: bytes) -> None:
    (tmp_path / f"{KEYS[0]}.part").write_bytes(b"half")
    (tmp_path / f"{KEYS[0]}.etag").write_bytes(said)
    entry = opened(tmp_path).open(KEYS[0])
    assert (entry.size, entry.etag, entry.length) == (4, None, None)
    entry.release()


@pytest.mark.parametrize("kind", ["slide", "part", "etag"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("notes")])
def test_a_pipe_folder_or_symlink_in_place_of_a_file_is_not_opened(
    tmp_path: Path, kind: str, make: Callable[[Path], None]
) -> None:
    (tmp_path / "notes").write_text("kept")
    (tmp_path / f"{KEYS[0]}.part").write_bytes(b"half")
    if kind == "part":
        (tmp_path / f"{KEYS[0]}.part").unlink()
    make(tmp_path / f"{KEYS[0]}.{kind}")
    cache = opened(tmp_path)
    try:
        entry = cache.open(KEYS[0])
    except SlideError as error:
        assert error.kind == "cache_error"
    else:
        entry.restart()
        entry.write(b"new")
        entry.release()
    cache.evict_all()
    assert (tmp_path / "notes").read_text() == "kept"
