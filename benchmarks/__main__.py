"""`make bench`: every benchmark, or those named: `python -m benchmarks pages sheet`."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = ("pages", "sheet", "ledger")


def main() -> None:
    chosen = sys.argv[1:] or BENCHMARKS
    if unknown := set(chosen) - set(BENCHMARKS):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}")
    for name in chosen:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
