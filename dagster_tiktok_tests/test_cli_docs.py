"""Help texts are complete and short, and docs/cli.md is what they say."""

from __future__ import annotations

import click
import pytest

from dagster_tiktok.cli.main import main as root
from tools.cli_docs import PAGE, cli_page

SUMMARY_CHARACTERS = 66
"""What fits beside the longest name of a command on a line of 80 characters."""


COMMANDS = sorted(root.commands.items())


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_option_has_a_help_text(name: str, command: click.Command) -> None:
    options = [each for each in command.params if isinstance(each, click.Option)]

    assert [each.name for each in options if not each.help] == []


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_the_summary_fits_its_line(name: str, command: click.Command) -> None:
    summary = command.get_short_help_str(limit=1000)

    assert 0 < len(summary) <= SUMMARY_CHARACTERS
    assert "..." not in command.get_short_help_str(limit=SUMMARY_CHARACTERS)


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == cli_page(), "run make docs"
