"""A bounded amount of something that threads share and take turns with, such as memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class WeightedSemaphore:
    """So many units in all. Who needs more than is left waits for the others."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._left = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, units: int) -> Iterator[None]:
        """Holds so many units for the block. More than there are in all counts as all."""
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
