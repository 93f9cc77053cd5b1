"""The docs about slides agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.breaker import REJECTIONS
from dagster_tiktok.slides.failures import KINDS
from dagster_tiktok.slides.images.verify import MAX_PIXELS
from dagster_tiktok.slides.stats import MoveStats

DOCS = Path(__file__).parents[2] / "docs"
TROUBLESHOOT = (DOCS / "troubleshoot.md").read_text()
TUNE = (DOCS / "tune.md").read_text()
OPERATE = (DOCS / "operate.md").read_text()


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of a table: the first cell, without backquotes, maps to the others."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("| ").split(" | "))
            assert name not in found, f"{name} stands there twice"
            found[name.strip("`")] = cells
    return found


def test_failure_table_agrees_with_the_kinds_in_the_code() -> None:
    documented = rows(section(TROUBLESHOOT, "A slide could not be stored"))
    assert list(documented) == list(KINDS)
    for name, kind in KINDS.items():
        message, by_itself, counted, what_to_do = documented[name]
        assert message == kind.message
        assert by_itself.startswith("retried") == kind.transient, name
        assert counted == ("counted" if kind.about_slide else "not counted")
        assert what_to_do


def test_docs_name_the_kinds_that_the_breaker_counts() -> None:
    text = section(TROUBLESHOOT, "A slide could not be stored")
    (paragraph,) = re.findall(r"delivered none of the last.*?nothing is counted", text, re.DOTALL)
    assert set(re.findall("`([a-z_]+)`", paragraph)) == REJECTIONS


def test_each_slide_setting_has_a_row_with_its_default_and_trade_offs() -> None:
    documented = rows(TUNE)
    ours = {name for name in Settings.model_fields if name.startswith("slide_")}
    for name in ours - {"slide_allowed_hosts", "slide_cache_dir"}:
        default, *trades = documented[name.upper()]
        assert float(default.split(",")[0]) == Settings.model_fields[name].default
        assert all(trades)
        assert len(trades) == 2
    assert "SLIDE_CACHE_DIR" in TUNE
    assert f"{MAX_PIXELS // 10**6} million pixels" in TUNE


def test_each_metric_of_the_stage_is_explained() -> None:
    documented = set(re.findall("`([a-z_0-9]+)`", section(OPERATE, "Watch the slides")))
    assert MoveStats().as_metrics().keys() - {"by_host"} <= documented


@pytest.mark.parametrize("page", ["operate.md", "troubleshoot.md", "tune.md"])
def test_links_to_sections_lead_to_sections(page: str) -> None:
    for target, part in re.findall(r"\]\(([a-z-]+\.md)?#([a-z-]+)\)", (DOCS / page).read_text()):
        text = (DOCS / (target or page)).read_text()
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        parts = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert part in parts, f"{target or page} has no part {part}"
