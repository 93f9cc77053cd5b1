"""Whole runs with several tabs: each is read and written back, whatever happens to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_tiktok.sandbox.tiktok.http.faults import Fault
from dagster_tiktok_tests.support.processes import Finished, RunningSandbox, running_sandbox

pytestmark = pytest.mark.node


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path) as running:
        yield running


def _add_tab(sandbox: RunningSandbox, title: str, *rows: dict[str, str]) -> str:
    """A tab with the first one's header; returns its URL."""
    header = [str(name).strip() for name in sandbox.sheets.book.tabs[0].rows[0]]
    known = [name.casefold() for name in header]
    cells = []
    for row in rows:
        values = {name.casefold(): value for name, value in row.items()}
        cells.append([values.get(name, "") for name in known])
    tab = sandbox.sheets.book.add_tab(title, [header, *cells])
    return sandbox.sheets.sheet_url_of(tab)


def _tab(sandbox: RunningSandbox, title: str) -> list[dict[str, str]]:
    tab = sandbox.sheets.book.tab_of_title(title)
    assert tab is not None
    header, *rows = [[str(cell) for cell in row] for row in tab.rows]
    return [dict(zip(header, [*row, *[""] * len(header)])) for row in rows]


def _video(sandbox: RunningSandbox, index: int = 0) -> str:
    post = [p for p in sandbox.world.posts if not p.slides][index]
    return f"https://www.tiktok.com{post.video_path}"


def _row(url: str, va: str, set_id: int = 1) -> dict[str, str]:
    return {
        "Post URL": url,
        "VA": va,
        "Creator": "Mia Rose",
        "Set ID": str(set_id),
        "Type": "NEW",
        "Status": "Ready to Scrape",
    }


def _run(sandbox: RunningSandbox, *urls: str) -> Finished:
    return sandbox.invoke("run", "--json", GOOGLE_SHEET_URL="\n".join(urls))


def _reads(sandbox: RunningSandbox) -> int:
    requests = sandbox.sheets.gate.log.describe()["requests"]
    return sum(entry["operation"] == "read" for entry in requests)


def _status(rows: list[dict[str, Any]]) -> list[str]:
    return [row["Status"] for row in rows]


def test_each_row_is_written_back_in_its_own_tab(sandbox: RunningSandbox) -> None:
    may = _add_tab(sandbox, "May", _row(_video(sandbox, 0), "Ann"))
    june = _add_tab(sandbox, "June", _row(_video(sandbox, 3), "Ben"), _row("nothing", "Ben"))

    run = _run(sandbox, may, june)

    assert run.status == 0, run.stderr
    assert run.result["succeeded"] == 2
    assert _status(_tab(sandbox, "May")) == ["Scraped"]
    assert _status(_tab(sandbox, "June")) == ["Scraped", "Failed"]
    vas = {post["va"] for post in sandbox.rows("tiktok_posts")}
    assert vas == {"Ann", "Ben"}
    assert all(row["status"] != "Scraped" for row in sandbox.sheet()[:5]), "not one of ours"


def test_a_deleted_tab_is_named_and_the_others_are_written_back(sandbox: RunningSandbox) -> None:
    may = _add_tab(sandbox, "May", _row(_video(sandbox), "Ann"))
    gone = may.partition("#")[0] + "#gid=987654"

    run = _run(sandbox, gone, may)
    doctor = sandbox.invoke("doctor", GOOGLE_SHEET_URL=f"{gone} {may}")

    assert run.status == 1, run.stderr
    assert _status(_tab(sandbox, "May")) == ["Scraped"]
    (log,) = sandbox.rows("scraping_logs")
    for text in (str(run.result["errors"]), log["error_message"]):
        assert "sheet 1 of GOOGLE_SHEET_URL: the spreadsheet has no tab" in text
    assert "1 of the sheets could not be read or written" in run.stderr
    assert "GOOGLE_SHEET_URL: GOOGLE_SHEET_URL" not in run.stderr + str(run.result)
    assert run.result["unfinished"] == 0
    assert (log["status"], log["successful_scrapes"]) == ("partial", 1)
    assert "FAIL  sheet 1" in doctor.stdout and "ok    sheet 2" in doctor.stdout


def test_the_next_run_writes_back_a_tab_that_could_not_be_written(sandbox: RunningSandbox) -> None:
    may = _add_tab(sandbox, "May", _row(_video(sandbox, 0), "Ann"))
    june = _add_tab(sandbox, "June", _row(_video(sandbox, 3), "Ben"))
    # The first write is May's.
    sandbox.sheets.gate.faults.add({"kind": "forbidden", "operation": "write", "count": 1})

    first = _run(sandbox, may, june)
    after_first = (_status(_tab(sandbox, "May")), _status(_tab(sandbox, "June")))
    second = _run(sandbox, may, june)

    assert first.status == 1
    assert after_first == (["Ready to Scrape"], ["Scraped"])
    assert first.result["unfinished"] == 1
    assert "sheet 1 of GOOGLE_SHEET_URL" in str(first.result["errors"])
    assert second.status == 0, second.stderr
    assert _status(_tab(sandbox, "May")) == ["Scraped"]


def test_two_deployments_on_one_database_take_only_their_own_rows(sandbox: RunningSandbox) -> None:
    may = _add_tab(sandbox, "May", _row(_video(sandbox, 0), "Ann"))
    june = _add_tab(sandbox, "June", _row(_video(sandbox, 3), "Ben"))
    # May's page was read, and the deployment broke before it could write back.
    sandbox.sheets.gate.faults.add({"kind": "forbidden", "operation": "write", "count": 1})
    assert _run(sandbox, may).status == 2

    other = _run(sandbox, june)

    assert (other.status, other.result["succeeded"], other.result["unfinished"]) == (0, 1, 0)
    assert _status(_tab(sandbox, "May")) == ["Ready to Scrape"]
    assert _run(sandbox, may).status == 0
    assert _status(_tab(sandbox, "May")) == ["Scraped"]


def test_the_first_of_several_rows_with_a_post_counts_and_the_others_are_named(
    sandbox: RunningSandbox,
) -> None:
    url = _video(sandbox)
    may = _add_tab(sandbox, "May", _row(url, "Ann", 1))
    june = _add_tab(sandbox, "June", _row(url, "Ben", 2))

    first = _run(sandbox, may, june)

    assert first.status == 0, first.stderr
    assert _status(_tab(sandbox, "May")) == _status(_tab(sandbox, "June")) == ["Scraped"]
    (post,) = sandbox.rows("tiktok_posts")
    assert (post["va"], post["set_id"]) == ("Ann", 1)
    (named,) = first.result["repeated_rows"]
    assert named["source_key"] == named["first_key"] == url
    assert named["source"].endswith(june.partition("#")[2])

    # Further down in the same tab, where the first row is written back already.
    tab = sandbox.sheets.book.tab_of_title("May")
    assert tab is not None
    row = {name.casefold(): value for name, value in _row(url, "Cy", 3).items()}
    tab.rows.append([row.get(str(name).casefold(), "") for name in tab.rows[0]])
    again = sandbox.invoke("run", GOOGLE_SHEET_URL=may)

    assert again.status == 0, again.stderr
    assert _status(_tab(sandbox, "May")) == ["Scraped", "Scraped"]
    (post,) = sandbox.rows("tiktok_posts")
    assert (post["va"], post["set_id"]) == ("Ann", 1)
    assert "rows 2 and 3 hold the same post" in again.stdout


def test_report_and_doctor_say_what_waits_for_a_removed_tab(sandbox: RunningSandbox) -> None:
    may = _add_tab(sandbox, "May", _row(_video(sandbox, 0), "Ann"))
    june = _add_tab(sandbox, "June", _row("https://vm.tiktok.com/ZMabcdefg/", "Ben"))
    sandbox.tiktok.faults.add(Fault("status", on="short", status=503))
    assert _run(sandbox, may, june).status == 1

    without = _run(sandbox, may)
    examined = sandbox.invoke("doctor", GOOGLE_SHEET_URL=may)
    both = sandbox.invoke("doctor", GOOGLE_SHEET_URL=f"{may} {june}")

    (sheet,) = without.result["waiting_elsewhere"]
    assert sheet["units"] == 1
    for told in (without.stderr, examined.stdout):
        assert f"1 row waits for the sheet {sheet['source']} since" in told
        assert "add its URL again" in told
    assert without.status == 0  # nothing of its own sheets is unfinished
    assert "all waiting rows belong to sheets in GOOGLE_SHEET_URL" in both.stdout
