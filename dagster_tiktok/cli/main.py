"""`dagster-tiktok`: run one day, check the setup, repair slides, back up, serve the sandbox."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click

from dagster_tiktok.backup.commands import COMMANDS as BACKUP_COMMANDS
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.models import RUN_METRICS
from dagster_tiktok.redaction import redacted
from dagster_tiktok.settings import load_settings
from dagster_tiktok.text import printable

EXIT_UNFINISHED = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dagster-tiktok")
def main() -> None:
    """Load a Google Sheet of TikTok posts into Supabase, and track their metrics."""


_ENV_FILE = click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with settings; real variables win.  [default: .env]",
)


@main.command()
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Partition to run.  [default: today]"
)
@click.option("--limit", type=click.IntRange(min=1), help="Scrape at most this many posts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
@_ENV_FILE
@click.option("-v", "--verbose", is_flag=True, help="Log every request to the sheet too.")
def run(
    day: datetime | None, limit: int | None, as_json: bool, env_file: Path | None, verbose: bool
) -> None:
    """Run one day's partition in this process.

    Exit status: 0 if nothing due is unfinished, 1 if something is (the report lists it), 2 if the
    configuration is wrong (the message names the variable), 130 if interrupted (run again to
    continue).
    """
    _log_to_stderr(verbose=verbose)
    env_file = env_file or Path(".env")
    try:
        loaded = load_settings(env_file)
        # The definitions read the time zone when they are loaded, and do not know --env-file.
        os.environ["PIPELINE_TIMEZONE"] = loaded.pipeline_timezone
        # Imported here, because importing Dagster takes seconds.
        from dagster_tiktok.cli.run import (  # noqa: PLC0415
            RunInterruptedError,
            run_partition,
            run_until_interrupted,
        )
        from dagster_tiktok.cli.run_report import as_json_object, print_outcome  # noqa: PLC0415
        from dagster_tiktok.definitions import build_definitions  # noqa: PLC0415
        from dagster_tiktok.resources.settings import SettingsResource  # noqa: PLC0415

        settings = SettingsResource(env_file=str(env_file), max_posts_per_run=limit)
        partition = day.date() if day else None
        definitions = build_definitions(settings)
        outcome = run_until_interrupted(
            lambda run_id: run_partition(settings, definitions, partition=partition, run_id=run_id),
            settings,
        )
    except ConfigurationError as error:
        _fail(str(error), EXIT_CONFIGURATION, as_json)
    except ServiceUnavailableError as error:
        _fail(str(error), EXIT_UNFINISHED, as_json)
    except RunInterruptedError:
        click.echo("dagster-tiktok: interrupted; run again to continue.", err=True)
        sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)
    print_outcome(outcome, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        click.echo(json.dumps(as_json_object(outcome)))
    sys.exit(0 if outcome.complete else EXIT_UNFINISHED)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
@_ENV_FILE
def doctor(as_json: bool, env_file: Path | None) -> None:
    """Check everything that a run needs.

    One line each for settings, sheet, database, ledger, clock, bucket, TikTok and disk. Exit
    status: 0 if no line says FAIL (warnings do not count), else 1.
    """
    from dagster_tiktok.cli.doctor import check_everything  # noqa: PLC0415

    findings = check_everything(env_file or Path(".env"))
    healthy = all(finding.ok for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": healthy, "checks": [f.as_dict() for f in findings]}))
    else:
        for finding in findings:
            mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
            click.echo(f"{mark}  {finding.name:<10} {printable(finding.message)}")
            for warning in finding.warnings:
                mark = click.style("warn", fg="yellow")
                click.echo(f"{mark}  {finding.name:<10} {printable(warning)}")
    sys.exit(0 if healthy else 1)


@main.command()
@click.option("--fix", is_flag=True, help="Store missing slides again, remove orphaned objects.")
@click.option(
    "--older-than",
    "hours",
    type=click.IntRange(min=0, max=100_000),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="Keep objects that were stored within these hours.",
)
@click.option("--force", is_flag=True, help="Remove objects even if most are orphaned.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
@_ENV_FILE
def repair(fix: bool, hours: int, force: bool, as_json: bool, env_file: Path | None) -> None:
    """Find slides without an object, and objects without a slide.

    Exit status: 0 if nothing is wrong, or everything was fixed, 1 if something is left (the report
    lists it), 2 if the configuration is wrong (the message names the variable), 130 if interrupted
    (run again to continue).
    """
    _log_to_stderr()
    from dagster_tiktok.repair.command import as_json_object, print_report  # noqa: PLC0415
    from dagster_tiktok.repair.command import repair as repair_bucket  # noqa: PLC0415

    try:
        report = asyncio.run(
            repair_bucket(
                load_settings(env_file or Path(".env")),
                fix=fix,
                older_than_hours=hours,
                force=force,
            )
        )
    except (ConfigurationError, ServiceUnavailableError) as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "errors": [str(error)]}))
        wrong = isinstance(error, ConfigurationError)
        _fail(str(error), EXIT_CONFIGURATION if wrong else EXIT_UNFINISHED, as_json=False)
    except KeyboardInterrupt:
        click.echo("dagster-tiktok: interrupted; run again to continue.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    print_report(report, fix=fix, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        click.echo(json.dumps(as_json_object(report)))
    sys.exit(0 if report.ok else EXIT_UNFINISHED)


@main.command()
@click.option(
    "--only",
    default="tiktok,sheets,supabase",
    show_default=True,
    metavar="NAMES",
    help="Serve only these.",
)
@click.option("--posts", type=click.IntRange(min=1), help="Number of posts on the fake TikTok.")
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of the made-up posts.")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    default=".sandbox/env",
    show_default=True,
    help="File to write the environment to.",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=".sandbox",
    show_default=True,
    help="Folder that keeps the fakes' state.",
)
def sandbox(only: str, posts: int | None, seed: int, env_file: Path, state_dir: Path) -> None:
    """Serve the local fakes until Ctrl-C.

    Writes the environment that points at them to --env-file.
    """
    _log_to_stderr()
    from dagster_tiktok.sandbox.serve import (  # noqa: PLC0415
        PARTS,
        SandboxError,
        serve_until_interrupted,
    )

    parts = {part.strip() for part in only.split(",") if part.strip()}
    if unknown := (parts - PARTS) or ({"nothing"} if not parts else set()):
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}: choose from {', '.join(sorted(PARTS))}",
            param_hint="--only",
        )
    try:
        serve_until_interrupted(
            parts=parts, posts=posts, seed=seed, env_file=env_file, state_dir=state_dir
        )
    except SandboxError as error:
        _fail(str(error), EXIT_CONFIGURATION, as_json=False)


for _command in BACKUP_COMMANDS:
    main.add_command(_command)


class _PrintableFormatter(logging.Formatter):
    """Makes scraped text harmless for a terminal, and removes secrets that tracebacks quote."""

    def format(self, record: logging.LogRecord) -> str:
        lines = redacted(super().format(record)).splitlines()
        return "\n".join(printable(line) for line in lines)


def _log_to_stderr(*, verbose: bool = False) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("dagster_tiktok")
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]
    # The sheet client logs every call. An operator wants that only when something is wrong.
    logging.getLogger("dagster_tiktok.sheet").setLevel(logging.INFO if verbose else logging.WARNING)


def _fail(message: str, status: int, as_json: bool) -> NoReturn:
    click.echo(f"dagster-tiktok: {printable(message)}", err=True)
    if as_json:
        metrics = dict.fromkeys(("batch_id", "partition", *RUN_METRICS))
        click.echo(json.dumps({**metrics, "errors": [{"error": message}], "error": message}))
    sys.exit(status)


if __name__ == "__main__":
    main()
