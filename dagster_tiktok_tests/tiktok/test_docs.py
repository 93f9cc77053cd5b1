"""docs/tiktok.md agrees with the code on failures, sources and variables."""

from __future__ import annotations

import re
from pathlib import Path

from dagster_tiktok.settings import Settings
from dagster_tiktok.tiktok.failures import FAILURES, WILL_RETRY
from dagster_tiktok.tiktok.gallery_dl import MAX_OUTPUT_BYTES, PASSED_ON, TIMEOUT_SECONDS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "tiktok.md").read_text()


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> dict[str, list[str]]:
    """The cells after the first of each row whose first cell is a name, by that name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and (name := re.fullmatch("`([^`]+)`", cells[0])):
            assert name[1] not in found, f"{name[1]} stands there twice"
            found[name[1]] = cells[1:]
    return found


def test_failure_table_has_the_kinds_and_messages_of_the_code_in_order() -> None:
    documented = {
        name: cells[0] for name, cells in rows(section("When a post can't be read")).items()
    }
    code = {failure.kind.value: failure.message for failure in FAILURES.values()}
    assert documented == code
    assert list(documented) == list(code)


def test_failure_table_has_the_status_codes_and_messages_of_the_code() -> None:
    documented = rows(section("When a post can't be read"))
    for failure in FAILURES.values():
        marks = re.findall("`([^`]+)`", documented[failure.kind.value][1])
        assert [int(mark) for mark in marks if mark.isdigit()] == sorted(failure.status_codes)
        assert tuple(mark for mark in marks if not mark.isdigit()) == failure.status_messages


def test_failure_table_says_what_happens_to_the_scrape() -> None:
    permanent, transient = section("When a post can't be read").split("**Transient.**")
    assert set(rows(permanent)) == {f.kind.value for f in FAILURES.values() if f.permanent}
    for kind, cells in rows(transient).items():
        (failure,) = [f for f in FAILURES.values() if f.kind.value == kind]
        assert cells[0].endswith(WILL_RETRY)
        assert cells[2] == ("counted" if failure.about_post else "not counted")
        assert len(cells) == 4
        assert cells[3]
    assert all(len(cells) == 3 and cells[2] for cells in rows(permanent).values())


def test_troubleshooting_page_links_to_the_table_and_does_not_repeat_it() -> None:
    text = (DOCS / "troubleshoot.md").read_text()
    assert "(tiktok.md#when-a-post-cant-be-read)" in text
    # Slides have a table of their own, and three names in common.
    shared = {"network", "server_error", "rate_limited"}
    kinds = {failure.kind.value for failure in FAILURES.values()} - shared
    assert not [kind for kind in kinds if f"`{kind}`" in text]


def test_docs_name_what_the_fallback_gets() -> None:
    text = section("TIKTOK_FALLBACK")
    from_the_system = {"LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT"}
    named = set(re.findall("`([A-Z_]+)`", text))
    assert named - {"TIKTOK_USER_AGENT", "TIKTOK_BASE_URL"} == PASSED_ON - from_the_system
    assert TIMEOUT_SECONDS == 120
    assert "two minutes" in text
    assert MAX_OUTPUT_BYTES == 5 * 2**20
    assert "5 MB" in text


def test_docs_explain_every_tiktok_variable() -> None:
    text = TEXT + (DOCS / "tune.md").read_text()
    for name in Settings.model_fields:
        if name.startswith("tiktok_"):
            assert name.upper() in text
    example = (DOCS.parent / ".env.example").read_text()
    assert "# TIKTOK_FALLBACK=gallery-dl" in example
