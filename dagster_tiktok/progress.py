"""How far a stage is, for whoever watches: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

# Without a time that is left, because the total grows with what is claimed.
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt}{unit} [{elapsed}, {rate_noinv_fmt}{postfix}]"

log = logging.getLogger(__name__)


class Progress:
    """How far a stage is: a bar on a terminal, a line now and then elsewhere. See `progress`."""

    def __init__(self, stage: str, unit: str, bar: tqdm[NoReturn] | None, line_seconds: float):
        self._stage = stage
        self._unit = unit
        self._bar = bar
        self._line_seconds = line_seconds
        self._done = 0
        self._started = self._said = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""
        self.show(self._done + count)

    def show(self, done: int, of: int | None = None, **figures: int | str) -> None:
        """`done` are done in all, `of` those that are known so far; `figures` stand behind."""
        self._done, before = done, self._done
        if self._bar is not None:
            if of is not None:
                self._bar.total, self._bar.bar_format = of, _BAR
            self._bar.set_postfix(figures, refresh=False)
            self._bar.update(done - before)
        elif (now := time.monotonic()) - self._said >= self._line_seconds:
            self._said = now
            known = "" if of is None else f" of {of} known so far"
            said = "".join(f", {value} {name}" for name, value in figures.items())
            seconds = now - self._started
            log.info("%s: %d%s %s%s, %.0f s", self._stage, done, known, self._unit, said, seconds)


@contextmanager
def progress(stage: str, unit: str, *, line_seconds: float = 30.0) -> Iterator[Progress]:
    """Shows how far a stage is, on stderr.

    On a terminal it is a bar, and log lines go above it. Elsewhere it is a line in the log every
    `line_seconds` at most, so that a short stage has its closing line only.
    """
    if not sys.stderr.isatty():
        yield Progress(stage, unit, None, line_seconds)
        return
    ours = logging.getLogger("dagster_tiktok")
    with (
        tqdm(desc=f"{stage:<14}", unit=f" {unit}") as bar,
        logging_redirect_tqdm([ours] if ours.handlers else []),
    ):
        yield Progress(stage, unit, bar, line_seconds)
