"""A folder of bounded size that holds slides between the CDN and the bucket.

It may be lost at any time: it never has the only copy, and every file is verified again before it
is used. Several processes may share one folder. Each file in use is locked (`flock`), so no other
process resumes or evicts it. The kernel releases the locks of a killed process, and the next
process that needs a part file resumes it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.slides.cache.entry import CacheEntry
from dagster_tiktok.slides.cache.files import OURS, lock_file, remove_unused
from dagster_tiktok.slides.failures import slide_error

_MB = 1024 * 1024
_KEY = re.compile(r"[0-9a-f]{32,64}\Z")
_PART_LIFETIME_SECONDS = 48 * 3600
"""No URL lives longer than 48 hours, so no older part file can be resumed."""


class SlideCache:
    """A folder that never grows beyond `max_mb`; it evicts the least recently used files.

    Arguments:
        directory: created if missing; files with other names are left alone.
        max_mb: for all of its files: finished, unfinished and in use.
        min_free_mb: must stay free on the disk.
    """

    def __init__(self, directory: Path, *, max_mb: int, min_free_mb: int) -> None:
        self.directory = directory
        self.max_bytes = max_mb * _MB
        self._min_free_mb = min_free_mb
        self._entries: set[CacheEntry] = set()
        self._idle_bytes = 0
        self._reserved = 0
        self._unscanned = 0
        self._freed = asyncio.Event()

    def prepare(self) -> None:
        """Creates the folder, removes useless files, and checks the free space.

        Raises:
            ConfigurationError: the folder can't be used, or the disk is nearly full.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            probe = self._open_part(secrets.token_hex(16))
            probe.release()
            self._sweep()
        except OSError as error:
            raise ConfigurationError(
                f"SLIDE_CACHE_DIR ({self.directory}) can't be used: {error.strerror or error}. "
                "Choose a folder on a local disk that this user may write to."
            ) from None
        self._evict(self.max_bytes)
        if self._missing_room(0):
            self.evict_all()
        if self._missing_room(0):
            free_mb = shutil.disk_usage(self.directory).free // _MB
            raise ConfigurationError(
                f"SLIDE_MIN_FREE_MB is {self._min_free_mb}, but the disk of SLIDE_CACHE_DIR "
                f"({self.directory}) has {free_mb} MB free: free some space or choose another disk."
            )

    def open(self, key: str) -> CacheEntry:
        """Opens the file of a key, finished or not, and locks it for this process.

        Arguments:
            key: the name of the image; equal keys mean equal images.

        Raises:
            SlideError: `disk_full` or `cache_error`.
        """
        with self.disk_errors():
            return self._open(key)

    def _open(self, key: str) -> CacheEntry:
        key = key if _KEY.match(key) else hashlib.sha256(key.encode()).hexdigest()
        path = self.directory / f"{key}.slide"
        descriptor = lock_file(path, os.O_RDWR, fcntl.LOCK_SH)
        if descriptor is None:
            return self._open_part(key)
        entry = CacheEntry(self, key, path, descriptor)
        os.utime(descriptor)  # used just now: the last to be evicted
        return entry

    async def reserve(self, entry: CacheEntry, size: int) -> None:
        """Waits until there is space for `entry` to grow to `size` bytes.

        Raises:
            SlideError: `disk_full`, if waiting cannot help.
        """
        if size > self.max_bytes:
            raise slide_error("disk_full", f"{size} bytes are more than SLIDE_CACHE_MAX_MB allows")
        extra = size - entry.reserved
        while self._unscanned > self.max_bytes // 16 or not self._has_space(extra):
            if self._missing_room(extra):
                self.evict_all()
            else:
                # Evict a little more than needed, so that not every slide scans the folder.
                self._evict(self.max_bytes * 15 // 16 - self._reserved - extra)
            # If no other entry holds granted space, waiting would never end. Then the folder has
            # to exceed its limit by what others keep (unfinished files, another process).
            if self._has_space(extra) or not any(other.granted for other in self._entries):
                break
            self._freed.clear()
            await self._freed.wait()
        if self._missing_room(extra):
            raise slide_error(
                "disk_full",
                f"{self.directory} has no space for {size} bytes and SLIDE_MIN_FREE_MB "
                f"({self._min_free_mb})",
            )
        entry.granted = True
        self._set_reserved(entry, size)

    def shrink(self, entry: CacheEntry) -> None:
        """Returns the space that `entry` does not fill: its download waits for a retry."""
        entry.granted = False
        self._set_reserved(entry, entry.size)
        self._freed.set()

    def released(self, entry: CacheEntry) -> None:
        """Called by `CacheEntry.release`."""
        if entry in self._entries:
            self._entries.remove(entry)
            self._set_reserved(entry, 0)
            self._idle_bytes += entry.size
            self._unscanned += entry.size
        self._freed.set()

    @contextmanager
    def disk_errors(self) -> Iterator[None]:
        """Turns an OSError into a SlideError. A full disk first evicts what it can."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                self.evict_all()
            # EFBIG: this process may not write so large a file (`ulimit -f`).
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise slide_error("disk_full", f"{self.directory}: {error.strerror}") from None
            raise slide_error("cache_error", str(error)) from error

    def evict_all(self) -> None:
        """Removes every file that is not in use."""
        self._evict(0)

    def _open_part(self, key: str) -> CacheEntry:
        path = self.directory / f"{key}.part"
        descriptor = lock_file(path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX)
        while descriptor is None:
            path = self.directory / f"{key}.{secrets.token_hex(8)}.part"
            descriptor = lock_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, fcntl.LOCK_EX)
        entry = CacheEntry(self, key, path, descriptor)
        self._entries.add(entry)
        self._idle_bytes -= entry.size
        self._set_reserved(entry, entry.size)
        return entry

    def _set_reserved(self, entry: CacheEntry, size: int) -> None:
        self._reserved += size - entry.reserved
        entry.reserved = size

    def _fits(self, extra: int) -> bool:
        return self._idle_bytes + self._reserved + extra <= self.max_bytes

    def _has_space(self, extra: int) -> bool:
        return self._fits(extra) and not self._missing_room(extra)

    def _missing_room(self, extra: int) -> bool:
        unwritten = sum(entry.reserved - entry.size for entry in self._entries)
        free = shutil.disk_usage(self.directory).free
        return free - unwritten - extra < self._min_free_mb * _MB

    def _evict(self, target: int) -> None:
        """Scans the folder and removes the oldest files until `target` bytes are left."""
        in_use = {entry.path.name for entry in self._entries}
        files = []
        for item in os.scandir(self.directory):
            if (
                (name := OURS.match(item.name))
                and name["kind"] != "etag"
                and item.name not in in_use
            ):
                with suppress(FileNotFoundError):  # another process evicts as well
                    stat = item.stat()
                    files.append((stat.st_mtime, stat.st_size, item.name))
        self._idle_bytes = sum(size for _, size, _ in files)
        self._unscanned = 0
        for _, size, file_name in sorted(files):
            if self._idle_bytes <= target:
                return
            if remove_unused(self.directory / file_name):
                self._idle_bytes -= size

    def _sweep(self) -> None:
        too_old = time.time() - _PART_LIFETIME_SECONDS
        for item in list(os.scandir(self.directory)):
            name = OURS.match(item.name)
            if name is None or name["kind"] == "slide":
                continue
            path = Path(item.path)
            with suppress(FileNotFoundError):  # another process sweeps as well
                if name["kind"] == "etag":
                    if not path.with_suffix(".part").exists():
                        path.unlink()
                elif name["token"] or item.stat().st_mtime < too_old:
                    remove_unused(path)
