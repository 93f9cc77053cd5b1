"""A semaphore whose holders take different amounts, such as bytes of memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class WeightedSemaphore:
    """Threads share `size` units. A thread that needs more than is left waits for the others."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._left = size
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, units: int) -> Iterator[None]:
        """Holds `units` for the block. More than `size` counts as `size`."""
        units = min(units, self.size)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= units)
            self._left -= units
        try:
            yield
        finally:
            with self._changed:
                self._left += units
                self._changed.notify_all()
