"""Shows the progress of two stages, as a run does: `python -m … SECONDS_BETWEEN_LINES`."""

from __future__ import annotations

import logging
import sys

from dagster_tiktok.progress import progress


def main(line_seconds: float) -> None:
    log = logging.getLogger("dagster_tiktok")
    log.addHandler(logging.StreamHandler(sys.stderr))
    log.setLevel(logging.INFO)
    with progress("slide_files", "slides", line_seconds=line_seconds) as bar:
        bar.show(100, of=400, failed=1, MB=30)
        log.info("something happened")
        bar.show(400, of=400, failed=2, MB=120)
    with progress("tiktok_posts", "posts", line_seconds=line_seconds) as bar:
        bar.advance(50)
        bar.advance()
    log.info("the closing line")


if __name__ == "__main__":
    main(float(sys.argv[1]))
