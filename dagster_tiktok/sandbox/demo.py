"""`make demo`: the whole pipeline on the sandbox's sheet and an empty database."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from postgrest.types import CountMethod
from rich.console import Console
from rich.table import Table
from rich.text import Text
from supabase import acreate_client

from dagster_tiktok.sandbox.serve import Sandbox, describe
from dagster_tiktok.text import printable

STATE = Path(".sandbox/demo")
COUNTED = (
    "tiktok_posts", "tiktok_slides", "post_metrics", "scrape_units", "scraping_logs", "audit_log",
)  # fmt: skip

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Returns the process's exit status: 0 when the day is complete and a second run is idle."""
    # Each demo starts from an empty database; what `make dev` keeps is elsewhere.
    shutil.rmtree(STATE, ignore_errors=True)
    return asyncio.run(_demo())


async def _demo() -> int:
    console.print(
        "[bold]1. The sandbox[/]: a fake TikTok, a fake Google Sheets and a local Supabase ..."
    )
    async with Sandbox(state_dir=STATE) as sandbox:
        for line in describe(sandbox):
            console.print(f"   {line}", style="dim")
        before = _rows(sandbox)
        console.print(f"\n[bold]2. The pipeline[/] on the sheet's {len(before)} rows ...")
        seconds, status, result = await _run(sandbox)
        if status != 0:
            console.print(f"The run ended with status {status}: {result}", style="red")
            return status
        console.print(_outcomes(before, _rows(sandbox)))
        console.print(await _counts(sandbox))
        console.print(
            "Two rows link to the same post, one of them by its short link: it is stored once, "
            "and both rows are written back."
        )
        console.print("\n[bold]3. A second run[/]: nothing is due, so it does nothing ...")
        pages = sandbox.tiktok.request_count
        _, again, second = await _run(sandbox)
        repeated = sandbox.tiktok.request_count - pages
        console.print(
            f"   {repeated} requests to TikTok, {second['slides_downloaded']} slides downloaded."
        )
        console.print(
            f"\n[bold green]Done.[/] {result['succeeded']} rows scraped, "
            f"{result['unavailable']} cannot be scraped, in {seconds:.1f} s.\n"
            "Next: [bold]make dev[/] runs the same in the Dagster UI (http://localhost:3000), with "
            "the sheet in your browser.\n"
            "To use your own sheet, see README.md; `dagster-tiktok doctor` checks the settings."
        )
        return again or int(repeated > 0)


async def _run(sandbox: Sandbox) -> tuple[float, int, dict[str, Any]]:
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dagster_tiktok.cli.main",
        "run",
        "--json",
        "--env-file",
        os.devnull,
        env={**_without_own_settings(), **sandbox.environment},
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    lines = output.decode().strip().splitlines()
    result = json.loads(lines[-1]) if lines else {}
    return time.monotonic() - started, process.returncode or 0, result


def _without_own_settings() -> dict[str, str]:
    """This process's environment without a setting that could lead out of the sandbox."""
    prefixes = ("SUPABASE_", "GOOGLE_", "TIKTOK_", "SLIDE_", "PIPELINE_", "ALERT_", "DAGSTER_HOME")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def _rows(sandbox: Sandbox) -> list[dict[str, str]]:
    """The sheet's rows by header, as a VA sees them."""
    cells = [[str(cell) for cell in row] for row in sandbox.sheets.book.tabs[0].rows]
    header = [name.strip().lower() for name in cells[0]]
    blank = [""] * len(header)
    return [dict(zip(header, [*row, *blank])) for row in cells[1:]]


def _outcomes(before: list[dict[str, str]], after: list[dict[str, str]]) -> Table:
    """One line for each outcome; each failed row has its own, with the reason."""
    table = Table(title="\nThe rows of the sheet", title_justify="left")
    for column in ("outcome", "rows", "error in the sheet"):
        table.add_column(column, overflow="fold")
    scraped = Counter[str]()
    for number, (old, new) in enumerate(zip(before, after), start=2):
        if not any(new.values()):
            scraped["blank"] += 1
        elif old == new:
            scraped["unchanged: not ready"] += 1
        elif new["status"] == "Failed":
            table.add_row("Failed", f"row {number}", Text(printable(new["error"])))
        else:
            scraped[new["status"]] += 1
    for outcome, count in scraped.most_common():
        table.add_row(outcome, str(count), "", end_section=outcome == "Scraped")
    return table


async def _counts(sandbox: Sandbox) -> Table:
    client = await acreate_client(sandbox.supabase.url, sandbox.supabase.secret_key)
    table = Table(title="\nThe tables of the database", title_justify="left")
    table.add_column("table")
    table.add_column("rows", justify="right")
    for name in COUNTED:
        response = await client.table(name).select("*", count=CountMethod.exact).limit(1).execute()
        table.add_row(name, str(response.count))
    return table


if __name__ == "__main__":
    sys.exit(main())
