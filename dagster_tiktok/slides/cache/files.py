"""The files of the slide cache: their names, locks and removal.

`<key>.slide` is a finished download, `<key>.part` an unfinished one. `<key>.etag` holds the
validator that lets a part file be resumed, and the final length; it is written when a download is
slow or given up. `<key>.<token>.part` is a second download of a key whose part file is in use
elsewhere; it is never resumed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

OURS = re.compile(r"[0-9a-f]{32,64}(?P<token>\.[0-9a-f]{16})?\.(?P<kind>slide|part|etag)\Z")


# Anything but a regular file (a link, a pipe) is not ours, and must not block us.
_PLAINLY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NO_FILE = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO})
"""A folder, a link, a pipe without a reader."""
_ORIGIN = re.compile(rb'(?P<etag>"[!#-~]{1,200}"|)\n(?P<length>[0-9]{0,18})\Z')
_ORIGIN_BYTES = 400


@dataclass(frozen=True)
class Origin:
    """The file that a part file belongs to: its strong `etag`, and its `length` in bytes.

    None where the server did not send them.
    """

    etag: str | None = None
    length: int | None = None

    @classmethod
    def read(cls, path: Path) -> Origin:
        """Reads what `write` wrote; empty if the file is missing or corrupt."""
        try:
            descriptor = os.open(path, os.O_RDONLY | _PLAINLY)
        except FileNotFoundError:
            return cls()
        except OSError as error:
            if error.errno in _NO_FILE:
                return cls()
            raise
        try:
            found = _ORIGIN.match(
                os.read(descriptor, _ORIGIN_BYTES) if _is_regular(descriptor) else b""
            )
        finally:
            os.close(descriptor)
        if found is None:
            return cls()
        etag, length = found["etag"].decode(), found["length"]
        return cls(etag or None, int(length) if length else None)

    def write(self, path: Path) -> None:
        length = "" if self.length is None else self.length
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _PLAINLY
        descriptor = os.open(path, flags, 0o600)
        try:
            os.write(descriptor, f"{self.etag or ''}\n{length}".encode())
        finally:
            os.close(descriptor)


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def lock_file(path: Path, flags: int, kind: int) -> int | None:
    """Opens and locks a file. None if it does not exist or a conflicting lock is held."""
    try:
        descriptor = os.open(path, flags | _PLAINLY, 0o600)
    except FileExistsError:
        return None
    except FileNotFoundError:
        if flags & os.O_CREAT:
            raise  # the folder itself is gone
        return None
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        if _is_regular(descriptor) and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # in use, or renamed or removed between opening and locking
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def remove_unused(path: Path) -> bool:
    """Removes a file unless it is in use. Returns whether it is gone."""
    descriptor = lock_file(path, os.O_RDWR, fcntl.LOCK_EX)
    if descriptor is None:
        return not path.exists()
    path.with_suffix(".etag").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    os.close(descriptor)
    return True
