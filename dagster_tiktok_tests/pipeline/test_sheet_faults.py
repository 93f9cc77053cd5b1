"""Whole runs while Google misbehaves: they end right, or say why without telling anything."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dagster_tiktok.sandbox.sheets.a1 import column_name
from dagster_tiktok.sandbox.sheets.book import LinkCell
from dagster_tiktok.sandbox.sheets.edits import apply_edits
from dagster_tiktok_tests.support.pipeline import DEMO_STATUSES
from dagster_tiktok_tests.support.processes import RunningSandbox, running_sandbox

pytestmark = pytest.mark.node

MARK = "NOBODYS-BUSINESS"


def test_the_sheet_is_right_after_a_day_with_every_transient_fault(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        before = sandbox.sheet()
        for fault in (
            {"kind": "html", "operation": "token"},
            {"kind": "rate_limited", "operation": "read", "count": 3, "retry_after": 0},
            {"kind": "dropped", "operation": "read", "skip": 1},
            {"kind": "html", "operation": "read", "skip": 2},
            {"kind": "rate_limited", "operation": "write", "count": 2, "retry_after": 0},
            {"kind": "unavailable_after", "operation": "write"},
        ):
            sandbox.sheets.gate.faults.add(fault)
        sandbox.sheets.account.expire_tokens()
        # A cell that is protected for good is another subject: it takes writes of its own.
        sandbox.sheets.book.tabs[0].protected.clear()

        finished = sandbox.invoke("run", "--json")

        assert finished.status == 0, finished.stdout + finished.stderr
        assert sandbox.sheets.gate.faults.describe() == []
        after = sandbox.sheet()
        statuses = Counter(row["status"] for row in after)
        assert (statuses["Scraped"], statuses["Failed"]) == DEMO_STATUSES
        assert len(before) == len(after)
        for then, now in zip(before, after):
            waited = then["status"].casefold().split() == ["ready", "to", "scrape"]
            if not waited:
                assert now == then
        # The write whose response was lost had been applied: it was read back, not sent again.
        writes = [
            entry["status"]
            for entry in sandbox.sheets.gate.log.describe()["requests"]
            if entry["operation"] == "write"
        ]
        assert writes == [429, 429, 503]


def test_the_report_names_a_row_deleted_during_the_run(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        rows = sandbox.sheet()
        gone = next(
            index
            for index, row in enumerate(rows)
            if row["status"] == "Ready to Scrape" and "/video/" in row["post url"]
        )
        draft = next(index for index, row in enumerate(rows) if not row["status"])
        cells = sandbox.sheets.book.tabs[0].rows[draft + 1]
        cells[list(rows[0]).index("status")] = "Draft"
        delete = [{"do": "delete", "rows": [gone + 2]}]
        # The third reading: the first two see the rows and the links under their texts.
        fault = {"kind": "edit", "operation": "read", "skip": 2, "edits": delete}
        sandbox.sheets.gate.faults.add(fault)

        finished = sandbox.invoke("run")

        assert finished.status == 0
        (line,) = [
            line
            for line in finished.stdout.splitlines()
            if "row not fully written" in line and "protected" not in line
        ]
        assert rows[gone]["post url"] in line
        assert "the row is gone from the sheet" in line
        assert 'unknown status "Draft"' in finished.stderr
        assert f"(row {draft + 2})" in finished.stderr


def test_the_report_and_the_check_name_rows_that_are_ignored(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        rows = sandbox.sheet()
        column = list(rows[0]).index("status")
        cells = sandbox.sheets.book.tabs[0].rows
        cells[1][column], cells[2][column], cells[3][column] = "Ready?", "✅ Ready", "#N/A"

        finished = sandbox.invoke("run", "--json", "--limit", "60")

        assert finished.status == 0
        after = sandbox.sheet()
        assert [row["status"] for row in after[:3]] == ["Ready?", "Scraped", "#N/A"]
        warnings = [each for each in finished.result["warnings"] if each["kind"] != "value"]
        named = {entry["row"]: entry["warning"] for entry in warnings}
        assert named[2].startswith('unknown status "Ready?"')
        assert named[4].startswith('Status shows "#N/A" at the moment')
        assert 3 not in named
        assert all(entry["kind"] == "row_ignored" for entry in warnings)
        assert 'check the sheet: unknown status "Ready?"' in finished.stderr
        (log,) = sandbox.rows("scraping_logs")
        assert log["metrics"]["sheet_rows"]["rows_ignored"] == len(warnings)


def test_links_under_texts_are_scraped_and_a_merged_status_is_named(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        rows = sandbox.sheet()
        waiting = [
            index
            for index, row in enumerate(rows)
            if row["status"] == "Ready to Scrape" and "https://www.tiktok.com/@" in row["post url"]
        ][:2]
        url = list(rows[0]).index("post url")
        cells = sandbox.sheets.book.tabs[0].rows
        for chip, index in enumerate(waiting):
            cells[index + 1][url] = LinkCell("Watch", rows[index]["post url"], chip=bool(chip))
        status = column_name(list(rows[0]).index("status"))
        cells[5][url] = rows[waiting[0]]["post url"]
        merge = {"do": "merge", "range": f"{status}5:{status}6"}
        apply_edits(sandbox.sheets.book, [merge])

        finished = sandbox.invoke("run", "--json", "--limit", "60")

        assert finished.status == 0, finished.stdout + finished.stderr
        after = sandbox.sheet()
        assert [after[index]["status"] for index in waiting] == ["Scraped", "Scraped"]
        named = {entry["row"]: entry["warning"] for entry in finished.result["warnings"]}
        assert f"the Status cell is merged with {status}5, so row 6 has no status" in named[6]


def test_a_run_that_google_fails_reveals_no_secret_and_no_cell(tmp_path: Path) -> None:
    home = tmp_path / "dagster_home"
    home.mkdir()
    with running_sandbox(tmp_path / "sandbox") as sandbox:
        _mark(sandbox)
        sandbox.sheets.gate.faults.add({"kind": "forbidden", "operation": "write", "count": 99})

        run = sandbox.run("run", "--json", DAGSTER_HOME=str(home))
        doctor = sandbox.invoke("doctor")

        assert (run.status, doctor.status) == (2, 1), run.stdout + run.stderr
        assert "share it with that e-mail address as editor" in run.stdout + run.stderr
        told = "".join([run.stdout, run.stderr, doctor.stdout, doctor.stderr]).encode()
        files = [path for path in home.rglob("*") if path.is_file()]
        kept = b"".join(path.read_bytes() for path in files)
        assert b"sheet_rows" in kept
        info = sandbox.sheets.service_account_info()
        secrets = info["private_key"].splitlines()[1:-1]
        secrets += ["ya29.", "assertion=", sandbox.environment["SUPABASE_KEY"], MARK]
        for secret in secrets:
            assert secret.encode() not in told
            assert secret.encode() not in kept
        database = "".join(
            str(sandbox.rows(table))
            for table in ("scrape_units", "tiktok_posts", "scraping_logs", "audit_log")
        )
        for secret in secrets[:-1]:
            assert secret not in database


def _mark(sandbox: RunningSandbox) -> None:
    """Puts a text that nobody else needs to know into the cells that VAs fill in."""
    rows = sandbox.sheets.book.tabs[0].rows
    header = [str(name).strip().casefold() for name in rows[0]]
    rows[0] = [*rows[0], "Phone"]
    for row in rows[1:]:
        row.extend([""] * (len(header) - len(row)))
        for name in ("va", "creator"):
            row[header.index(name)] = f"{MARK} {name}"
        row.append(MARK)


def test_report_json_and_doctor_say_that_a_remark_under_error_keeps_reasons_out(
    tmp_path: Path,
) -> None:
    with running_sandbox(tmp_path) as sandbox:
        rows = sandbox.sheets.book.tabs[0].rows
        column = list(sandbox.sheet()[0]).index("error")
        rows[1][column] = "call the client first"
        sandbox.sheets.book.tabs[0].protected.clear()  # which doctor would name instead

        before = sandbox.invoke("doctor")
        finished = sandbox.invoke("run", "--json", "--limit", "60")

        told = 'the column "error" holds "call the client first" in row 2'
        assert told in before.stdout
        assert f"check the sheet: {told}" in finished.stderr
        (warning,) = [w for w in finished.result["warnings"] if told in w["warning"]]
        assert (warning["kind"], warning["row"]) == ("column", None)
        assert all(row["error"] in ("", "call the client first") for row in sandbox.sheet())
        # The rows that failed are told all the same.
        assert "failed: " in finished.stderr
