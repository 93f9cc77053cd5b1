"""What an operator sees of a stage, on a terminal and in a log file."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios


def script(line_seconds: float) -> list[str]:
    module = "dagster_tiktok_tests.support.progress_script"
    return [sys.executable, "-m", module, str(line_seconds)]


def on_terminal(command: list[str]) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with subprocess.Popen(command, stderr=theirs, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:
            pass  # that is how the other end of a terminal closes
        os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


def without_terminal(command: list[str]) -> list[str]:
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    # How long it took is the machine's.
    return re.sub(r", \d+ s$", ", N s", ended.stderr, flags=re.MULTILINE).splitlines()


def test_a_terminal_shows_a_bar_for_each_stage_with_log_lines_above_it() -> None:
    shown = on_terminal(script(0))
    lines = [line.split("\r")[-1] for line in shown.split("\r\n")]
    slides, posts = (
        next(line for line in lines if line.startswith(stage))
        for stage in ("slide_files", "tiktok_posts")
    )
    assert "100%|" in slides
    assert "| 400/400 slides [" in slides
    assert "slides/s, failed=2, MB=120]" in slides
    assert "51 posts [" in posts
    assert "something happened" in lines
    assert lines.index("something happened") < lines.index(slides)
    assert "known so far" not in shown


def test_a_log_file_gets_a_line_now_and_then_and_none_for_a_short_stage() -> None:
    lines = without_terminal(script(0))
    assert lines == [
        "slide_files: 100 of 400 known so far slides, 1 failed, 30 MB, N s",
        "something happened",
        "slide_files: 400 of 400 known so far slides, 2 failed, 120 MB, N s",
        "tiktok_posts: 50 posts, N s",
        "tiktok_posts: 51 posts, N s",
        "the closing line",
    ]
    assert without_terminal(script(3600)) == [
        "something happened",
        "the closing line",
    ]
