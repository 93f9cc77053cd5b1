"""The docs name only what exists (links, files, functions), and the index names every page."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for folder, pattern in ((ROOT, "*.md"), (DOCS, "*.md"), (ROOT / ".github", "**/*.*"))
    for page in folder.glob(pattern)
)
BASES = (ROOT, ROOT / "dagster_tiktok")
"""What a path in the docs starts from."""

EXAMPLES = {"sql/migrations/042_add_language.sql"}
"""Files that a reader is told to make."""

EXAMPLE_NAMES = {"post_language", "text_language", "dayN_views", "RetryPolicy"}

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.[a-z]+)`")
_MODULE = re.compile(r"python -m (tools\.\w+)")


def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def _prose(page: str) -> str:
    return _FENCE.sub("", _text(page))


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def _relative_links(page: str) -> Iterator[tuple[str, Path, str]]:
    for target in _LINK.findall(_prose(page)):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            here = ROOT / page
            yield target, (here.parent / file).resolve() if file else here, anchor


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    broken = [
        target
        for target, file, anchor in _relative_links(page)
        if not file.exists() or (anchor and anchor not in _anchors(file))
    ]

    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    named = set(_PATH.findall(_text(page))) - EXAMPLES

    assert [path for path in named if not any((base / path).exists() for base in BASES)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_tool_that_is_named_exists(page: str) -> None:
    modules = _MODULE.findall(_text(page))

    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_name_of_the_code_that_is_named_exists(page: str) -> None:
    """A recipe that names a function which was renamed since is worse than none."""
    code = "\n".join(
        file.read_text(encoding="utf-8")
        for folder in ("dagster_tiktok", "dagster_tiktok_tests", "sql", "tools", "pyproject.toml")
        for file in [ROOT / folder, *(ROOT / folder).rglob("*")]
        if file.suffix in (".py", ".sql", ".yaml", ".toml") and "node_modules" not in file.parts
    )
    words = set(re.findall(r"\w+", code)) | EXAMPLE_NAMES
    inline = " ".join(re.findall(r"`([^`]+)`", _prose(page)))
    named = set(re.findall(r"(?<![\w/.-])(?:\w*[a-z]_\w+|_\w+|[A-Z]+[a-z]+[A-Z]\w*)", inline))

    assert sorted(named - words) == []


def test_every_function_in_the_table_of_the_architecture_is_in_the_migrations() -> None:
    sql = "\n".join(file.read_text() for file in (ROOT / "sql" / "migrations").glob("*.sql"))
    table = _text("docs/architecture.md").split("## Assets, stages")[1].split("\n\n")[1]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[-1])}

    modules = [row.split(" | ")[1:3] for row in rows]

    assert len(rows) == 6
    for asset, stages in modules:
        for folder, names in (("assets", asset), ("stages", stages)):
            for name in re.findall(r"`(\w+)`", names):
                assert (ROOT / "dagster_tiktok" / folder / f"{name}.py").exists(), name
    assert [name for name in sorted(named) if f"function public.{name}(" not in sql] == []


def test_the_index_lists_every_page() -> None:
    listed = {file for _, file, _ in _relative_links("docs/README.md")}

    assert {page for page in DOCS.glob("*.md") if page.name != "README.md"} - listed == set()


def test_the_readme_leads_to_the_index_and_to_the_maintainers_half() -> None:
    listed = {file.relative_to(ROOT).as_posix() for _, file, _ in _relative_links("README.md")}

    assert {"docs/README.md", "docs/architecture.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= listed


def test_the_tree_of_the_readme_names_every_folder_and_no_other() -> None:
    tree = _text("README.md").split("## How it works")[1].split("\n    dagster_tiktok/\n")[1]
    inside, outside = tree.split("\n    dagster_tiktok_tests/")
    named = set(re.findall(r"^      ([a-z_]+)/", inside, re.MULTILINE))
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "dagster_tiktok"], cwd=ROOT, capture_output=True, check=False
    ).stdout.decode()
    if not tracked:
        pytest.skip("not a git checkout")
    folders = {path.split("/")[1] for path in tracked.split("\0") if path.count("/") > 1}

    assert named == folders
    for folder in re.findall(r"^    ([a-z_/]+)/ ", outside, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder
