"""`dagster-tiktok`: run one day, check the surroundings, serve the sandbox."""

from __future__ import annotations

import json
import logging
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailable

EXIT_UNFINISHED = 1
EXIT_CONFIGURATION = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dagster-tiktok")
def main() -> None:
    """From a Google Sheet of TikTok posts to a living record in Supabase."""


@main.command()
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The partition; today.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many posts.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line.")
@click.option("--env-file", type=click.Path(path_type=Path), default=".env", show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Log every call to the sheet too.")
def run(day: Any, limit: int | None, as_json: bool, env_file: Path, verbose: bool) -> None:
    """Runs one day's partition in this process.

    Exit status: 0 nothing due is unfinished, 1 something is (it is listed), 2 the configuration
    is wrong (it is named).
    """
    _log_to_stderr(verbose=verbose)
    try:
        # Imported here: Dagster takes a second, and reads the calendar's settings.
        from dagster_tiktok.definitions import build_definitions  # noqa: PLC0415
        from dagster_tiktok.report import as_json_object, print_outcome  # noqa: PLC0415
        from dagster_tiktok.resources.settings import SettingsResource  # noqa: PLC0415
        from dagster_tiktok.runner import run_partition  # noqa: PLC0415

        settings = SettingsResource(env_file=str(env_file), max_posts_per_run=limit)
        partition: date = day.date() if day else settings.load().today()
        outcome = run_partition(settings, build_definitions(settings), partition=partition)
    except ConfigurationError as error:
        _fail(str(error), EXIT_CONFIGURATION, as_json)
    except ServiceUnavailable as error:
        _fail(str(error), EXIT_UNFINISHED, as_json)
    print_outcome(outcome, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        click.echo(json.dumps(as_json_object(outcome)))
    sys.exit(0 if outcome.complete else EXIT_UNFINISHED)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option("--env-file", type=click.Path(path_type=Path), default=".env", show_default=True)
def doctor(as_json: bool, env_file: Path) -> None:
    """Checks settings, sheet, database, bucket, TikTok and disk; exit status 1 if any fails."""
    from dagster_tiktok.doctor import examine  # noqa: PLC0415

    findings = examine(env_file)
    healthy = all(finding.ok for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": healthy, "checks": [f.as_dict() for f in findings]}))
    else:
        for finding in findings:
            mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
            click.echo(f"{mark}  {finding.name:<10} {finding.message}")
    sys.exit(0 if healthy else 1)


@main.command()
@click.option("--only", default="tiktok,sheets,supabase", show_default=True)
@click.option("--posts", type=click.IntRange(min=1), help="Posts on the stand-in TikTok.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option(
    "--env-file", type=click.Path(path_type=Path), default=".sandbox/env", show_default=True
)
@click.option("--state-dir", type=click.Path(path_type=Path), default=".sandbox", show_default=True)
def sandbox(only: str, posts: int | None, seed: int, env_file: Path, state_dir: Path) -> None:
    """Serves the local stand-ins until Ctrl-C and writes the environment that points at them."""
    _log_to_stderr()
    from dagster_tiktok.sandbox.serve import PARTS, serve_until_interrupted  # noqa: PLC0415

    parts = {part.strip() for part in only.split(",") if part.strip()}
    if unknown := parts - PARTS:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}: choose from {', '.join(sorted(PARTS))}",
            param_hint="--only",
        )
    serve_until_interrupted(
        parts=parts, posts=posts, seed=seed, env_file=env_file, state_dir=state_dir
    )


def _log_to_stderr(*, verbose: bool = False) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("dagster_tiktok")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    # Every call to the sheet is a line of its own; a person wants them when something is wrong.
    logging.getLogger("dagster_tiktok.sheet").setLevel(logging.INFO if verbose else logging.WARNING)


def _fail(message: str, status: int, as_json: bool) -> None:
    click.echo(f"dagster-tiktok: {message}", err=True)
    if as_json:
        click.echo(json.dumps({"error": message}))
    sys.exit(status)


if __name__ == "__main__":
    main()
