"""`make docs`: docs/cli.md, from the commands themselves.

Written here because sphinx-click and mkdocs-click need a site generator of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from dagster_tiktok.cli.main import main as root

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

_HEAD = """\
# Commands

Written by `make docs` from the commands themselves; do not edit.
"""


def main() -> None:
    PAGE.write_text(cli_page(), encoding="utf-8")


def cli_page() -> str:
    """The page about `dagster-tiktok` and each of its commands, in Markdown."""
    lines = [_HEAD, _text(root), ""]
    context = click.Context(root, info_name="dagster-tiktok")
    for name, command in sorted(root.commands.items()):
        lines += _section(command, click.Context(command, info_name=name, parent=context))
    return "\n".join(lines)


def _section(command: click.Command, context: click.Context) -> Iterator[str]:
    yield from (f"## `{context.command_path}`", "", _text(command), "")
    yield f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield ""
    rows = [
        record
        # Every command has `--help`, and its text depends on which context built it first.
        for parameter in command.get_params(context)
        if "--help" not in parameter.opts
        and (record := parameter.get_help_record(context))
        and record[1]
    ]
    yield from ("| option | |", "|---|---|")
    yield from (f"| `{option}` | {_cell(text)} |" for option, text in rows)
    yield ""


def _text(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()
