"""What the docs say of slides is so."""

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
    """The cells after the first of each row of a table, by the first without its marks."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("| ").split(" | "))
            assert name not in found, f"{name} stands there twice"
            found[name.strip("`")] = cells
    return found


def test_the_failure_table_then_its_kinds_and_what_is_said_of_them_are_the_code_s() -> None:
    documented = rows(section(TROUBLESHOOT, "A slide could not be stored"))
    assert list(documented) == list(KINDS)
    for name, kind in KINDS.items():
        said, by_itself, counted, what_to_do = documented[name]
        assert said == kind.sentence
        assert by_itself.startswith("tried again") == kind.transient, name
        assert counted == ("counted" if kind.about_slide else "not counted")
        assert what_to_do


def test_the_breaker_then_the_docs_name_what_it_counts() -> None:
    text = section(TROUBLESHOOT, "A slide could not be stored")
    (paragraph,) = re.findall(r"none of the last.*?nothing is counted", text, re.DOTALL)
    assert set(re.findall("`([a-z_]+)`", paragraph)) == REJECTIONS


def test_the_variables_of_slides_then_each_has_its_row_default_and_trade() -> None:
    documented = rows(TUNE)
    ours = {name for name in Settings.model_fields if name.startswith("slide_")}
    for name in ours - {"slide_allowed_hosts", "slide_cache_dir"}:
        default, *trades = documented[name.upper()]
        assert float(default.split(",")[0]) == Settings.model_fields[name].default
        assert all(trades)
        assert len(trades) == 2
    assert "SLIDE_CACHE_DIR" in TUNE
    assert f"{MAX_PIXELS // 10**6} million pixels" in TUNE


def test_the_figures_of_the_stage_then_each_is_explained() -> None:
    documented = set(re.findall("`([a-z_0-9]+)`", section(OPERATE, "Watch the slides")))
    assert MoveStats().as_metrics().keys() - {"by_host"} <= documented


@pytest.mark.parametrize("page", ["operate.md", "troubleshoot.md", "tune.md"])
def test_links_to_parts_of_pages_then_the_parts_are_there(page: str) -> None:
    for target, part in re.findall(r"\]\(([a-z-]+\.md)?#([a-z-]+)\)", (DOCS / page).read_text()):
        text = (DOCS / (target or page)).read_text()
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        parts = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert part in parts, f"{target or page} has no part {part}"
