"""`make bench`: every benchmark, or those named: `python -m benchmarks pages sheet`."""

from __future__ import annotations

import importlib
import subprocess
import sys

BENCHMARKS = (
    "pages",
    "fuzz_pages",
    "scraping",
    "slides",
    "slides_scale",
    "slides_killed",
    "sheet",
    "ledger",
    "persist",
    "refused",
    "database",
    "database_size",
)


def main() -> None:
    chosen = sys.argv[1:] or BENCHMARKS
    if unknown := set(chosen) - set(BENCHMARKS):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}")
    if len(chosen) == 1:
        importlib.import_module(f"benchmarks.{chosen[0]}").main()
        return
    # Each in a process of its own: the peak of its memory is its own too.
    failed = [
        name
        for name in chosen
        if subprocess.run([sys.executable, "-m", "benchmarks", name], check=False).returncode
    ]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
