"""One slide's file in the cache, while it is in use."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Protocol

from dagster_tiktok.slides.cache.files import Origin

log = logging.getLogger(__name__)


class EntryOwner(Protocol):
    """What an entry needs from its cache. A protocol, because `cache` imports this module."""

    directory: Path

    def disk_errors(self) -> AbstractContextManager[None]: ...

    def released(self, entry: CacheEntry) -> None: ...


class CacheEntry:
    """A cache file that this process uses, locked until `release`."""

    def __init__(self, cache: EntryOwner, key: str, path: Path, descriptor: int) -> None:
        self.path = path
        self.key = key
        stat = os.fstat(descriptor)
        self.size = stat.st_size
        self.modified = stat.st_mtime
        self.finished = path.suffix == ".slide"
        self.reserved = 0
        self.granted = False
        self._cache = cache
        self._descriptor: int | None = descriptor
        self._etag_path = path.with_suffix(".etag")
        self._is_second = path.name not in (f"{key}.slide", f"{key}.part")
        self._origin = Origin()
        if self.size and not self.finished:
            self._origin = Origin.read(self._etag_path)
        self._origin_is_kept = self._origin != Origin()

    @property
    def etag(self) -> str | None:
        """The validator of the bytes so far, if they can be resumed."""
        length = self._origin.length
        return self._origin.etag if length is None or self.size <= length else None

    @property
    def length(self) -> int | None:
        """Of the whole file, in bytes; None if the server did not send it."""
        return self._origin.length

    @property
    def may_be_complete(self) -> bool:
        """Whether every byte may be there, although the image is not verified yet.

        Also true for a killed process's file of unknown length: only its bytes can tell.
        """
        if self.finished or not self.size:
            return False
        return self._origin in (Origin(), Origin(self._origin.etag, self.size))

    def restart(self, etag: str | None = None, length: int | None = None) -> None:
        """Empties the file.

        Arguments:
            etag: the validator of the bytes that will be written.
            length: how many bytes there will be.
        """
        # Remove the old validator before writing new bytes: a crash in between leaves nothing that
        # could be resumed with the wrong validator.
        with self._cache.disk_errors():
            if self.size:
                os.ftruncate(self._open_descriptor, 0)
                self.size = 0
            self._forget_origin()
            self._origin = Origin(etag, length)

    def keep_origin(self) -> None:
        """Lets another process resume the part file, should this one be killed.

        `restart` does not do this: creating a second file costs more than everything else that the
        cache does for a slide, and most slides arrive within a tenth of a second.
        """
        if self._descriptor is None or self.finished or self._origin_is_kept:
            return
        if self._origin != Origin():
            try:
                self._origin.write(self._etag_path)
            except OSError as error:
                # The slide does not need it; if the disk is full, writing its bytes will fail.
                log.info("%s can't be resumed if this process dies: %s", self.path.name, error)
            else:
                self._origin_is_kept = True

    def write(self, chunk: bytes) -> None:
        """Appends. Raises SlideError `disk_full` if there is no space."""
        view = memoryview(chunk)
        with self._cache.disk_errors():
            while view:
                written = os.pwrite(self._open_descriptor, view, self.size)
                self.size += written
                view = view[written:]

    def finish(self) -> None:
        """Gives the file its final name, atomically. It stays in use until `release`.

        A second download of a key keeps its own name: the first one's process may be uploading the
        file with the final name.
        """
        final = self._cache.directory / f"{self.key}.slide"
        with self._cache.disk_errors():
            if not self._is_second:
                self.path.replace(final)
                self.path = final
                fcntl.flock(self._open_descriptor, fcntl.LOCK_SH)
            self._forget_origin()
            self.finished = True

    def discard(self) -> None:
        """Drops the bytes because they are wrong."""
        if self.finished:
            self._remove()
        else:
            self.restart()

    def release(self) -> None:
        """Ends the use. A finished file stays until evicted, an unfinished one can be resumed.

        Calling it again does nothing.
        """
        if self._descriptor is None:
            return
        useful = self.finished or (
            self.size > 0 and (self.etag is not None or self.size == self.length)
        )
        if self._is_second or not useful:
            self._remove()
        else:
            self.keep_origin()
        os.close(self._descriptor)
        self._descriptor = None
        self._cache.released(self)

    def _remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._forget_origin()
        self.size = 0

    def _forget_origin(self) -> None:
        with suppress(IsADirectoryError):  # not ours: `Origin.read` ignores it
            self._etag_path.unlink(missing_ok=True)
        self._origin_is_kept = False

    @property
    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"{self.path.name} was released")
        return self._descriptor
