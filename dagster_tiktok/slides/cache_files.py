"""The files of the slide cache: how they are named, locked and removed.

`<key>.slide` is a finished download, `<key>.part` an unfinished one, `<key>.etag` the validator
under which it can be resumed. `<key>.<token>.part` is a second download of a key whose part file
is in use elsewhere; nobody resumes it.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

OURS = re.compile(r"[0-9a-f]{32,64}(?P<token>\.[0-9a-f]{16})?\.(?P<kind>slide|part|etag)\Z")


def lock_file(path: Path, flags: int, kind: int) -> int | None:
    """Opens and locks a file; None where it is not there, or is in use in a way that excludes."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    except FileNotFoundError:
        if flags & os.O_CREAT:
            raise  # the folder itself is gone
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # in use, or renamed or removed between opening and locking
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def remove_unused(path: Path) -> bool:
    descriptor = lock_file(path, os.O_RDWR, fcntl.LOCK_EX)
    if descriptor is None:
        return not path.exists()
    path.with_suffix(".etag").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    os.close(descriptor)
    return True
