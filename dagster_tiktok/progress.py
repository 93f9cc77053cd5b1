"""The progress of a stage: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

# Without an estimate of the time left, because the total grows with each claim.
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt}{unit} [{elapsed}, {rate_noinv_fmt}{postfix}]"

log = logging.getLogger(__name__)


class Progress:
    """Shows the progress of a stage. See `progress`."""

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

    def show(self, done: int, of: int | None = None, **metrics: int | str) -> None:
        """Shows that `done` of the `of` items known so far are done, followed by `metrics`."""
        self._done, before = done, self._done
        if self._bar is not None:
            if of is not None:
                self._bar.total, self._bar.bar_format = of, _BAR
            self._bar.set_postfix(metrics, refresh=False)
            self._bar.update(done - before)
        elif (now := time.monotonic()) - self._said >= self._line_seconds:
            self._said = now
            known = "" if of is None else f" of {of} known so far"
            rest = "".join(f", {value} {name}" for name, value in metrics.items())
            seconds = now - self._started
            log.info("%s: %d%s %s%s, %.0f s", self._stage, done, known, self._unit, rest, seconds)


@contextmanager
def progress(stage: str, unit: str, *, line_seconds: float = 30.0) -> Iterator[Progress]:
    """Shows the progress of a stage on stderr.

    On a terminal this is a bar, with log lines above it. Elsewhere it is a log line at most every
    `line_seconds`, so that a short stage has only its closing line.
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
