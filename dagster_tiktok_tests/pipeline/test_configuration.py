"""A wrong setting ends in one clear message and exit status 2, and `doctor` names it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.processes import RunningSandbox, running_sandbox

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("configuration")) as running:
        yield running


NO_SHEET = "https://docs.google.com/spreadsheets/d/1NoSuchSheetNoSuchSheetNoSuchSheetNoSuchSh/edit"

WRONG: dict[str, tuple[dict[str, str | None], str, str]] = {
    "no key": ({"SUPABASE_KEY": None}, "settings", "SUPABASE_KEY is not set"),
    "publishable key": (
        {"SUPABASE_KEY": "sb_publishable_abcdefgh"},
        "settings",
        "SUPABASE_KEY is a publishable key",
    ),
    "unknown secret key": (
        {"SUPABASE_KEY": "sb_secret_not-of-this-project"},
        "database",
        "does not accept SUPABASE_KEY",
    ),
    "no such sheet": ({"GOOGLE_SHEET_URL": NO_SHEET}, "sheet", "GOOGLE_SHEET_URL"),
    "unreachable sheet": (
        {"GOOGLE_SHEETS_API_URL": "http://127.0.0.1:9"},
        "sheet",
        "GOOGLE_SHEETS_API_URL",
    ),
    "no such credentials": (
        {"GOOGLE_SHEETS_CREDENTIALS": "/nowhere/account.json"},
        "sheet",
        "GOOGLE_SHEETS_CREDENTIALS",
    ),
    "unreachable database": ({"SUPABASE_URL": "http://127.0.0.1:9"}, "database", "SUPABASE_URL"),
    "no such bucket": ({"SUPABASE_BUCKET": "elsewhere"}, "bucket", "SUPABASE_BUCKET"),
    "full disk": ({"SLIDE_MIN_FREE_MB": "999999999"}, "disk", "SLIDE_MIN_FREE_MB"),
}


@pytest.mark.parametrize("case", WRONG)
def test_run_and_doctor_name_a_wrong_setting_in_one_message(
    sandbox: RunningSandbox, case: str
) -> None:
    change, part, message = WRONG[case]

    run = sandbox.invoke("run", "--json", "--env-file", "/dev/null", **change)
    doctor = sandbox.invoke("doctor", "--json", "--env-file", "/dev/null", **change)

    assert run.status == 2, run.stderr
    assert message in run.result["error"]
    said = [line for line in run.stderr.splitlines() if line.startswith("dagster-tiktok: ")]
    assert said == [f"dagster-tiktok: {run.result['error']}"]
    assert "Traceback" not in run.stderr + run.stdout
    assert doctor.status == 1
    wrong = [check for check in doctor.result["checks"] if not check["ok"]]
    assert part in [check["name"] for check in wrong]
    assert any(message in check["message"] for check in wrong)


def test_run_and_doctor_name_a_missing_post_url_column(sandbox: RunningSandbox) -> None:
    tab = sandbox.sheets.book.tabs[0]
    header, title = list(tab.rows[0]), tab.title
    tab.title = "Posts\x1b]0;owned\x07"
    tab.rows[0] = ["Link to nothing" if "url" in str(name) else name for name in header]
    try:
        run = sandbox.invoke("run", "--json")
        doctor = sandbox.invoke("doctor")
    finally:
        tab.rows[0], tab.title = header, title

    assert run.status == 2
    assert "Post URL" in run.result["error"]
    assert "\x1b" not in run.stdout + run.stderr + doctor.stdout
    assert doctor.status == 1
    assert "Post URL" in doctor.stdout


def test_run_and_doctor_say_which_migrations_to_apply(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "001_something_else.sql").write_text("create table something_else (id int);")
    empty = SupabaseServer(tmp_path / "supabase", migrations)
    asyncio.run(empty.start())
    try:
        change = {"SUPABASE_URL": empty.url, "SUPABASE_KEY": empty.secret_key}
        run = sandbox.invoke("run", "--json", **change)
        doctor = sandbox.invoke("doctor", "--json", **change)
    finally:
        asyncio.run(empty.close())

    assert run.status == 2, run.stderr
    assert "sql/migrations" in run.result["error"]
    assert doctor.status == 1
    assert "sql/migrations" in json.dumps(doctor.result)


def test_the_day_follows_the_time_zone_of_the_env_file(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    # Fourteen hours before and eleven behind UTC: one of them has another date now.
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        path = tmp_path / "env"
        path.write_text(f"PIPELINE_TIMEZONE={zone}\n")

        run = sandbox.run("run", "--json", "--limit", "1", "--env-file", str(path))

        assert run.status in (0, 1), run.stderr
        assert run.result["partition"] == datetime.now(ZoneInfo(zone)).date().isoformat()


@pytest.mark.parametrize("day", ["2019-01-01", "2099-01-01"])
def test_a_date_that_is_no_partition_is_not_accepted(sandbox: RunningSandbox, day: str) -> None:
    run = sandbox.invoke("run", "--date", day)

    assert run.status == 2
    assert f"--date {day} is not a partition" in run.stderr


def test_doctor_says_that_everything_is_right_and_changes_nothing(sandbox: RunningSandbox) -> None:
    before, logs = sandbox.cells, sandbox.rows("scraping_logs")

    doctor = sandbox.invoke("doctor")

    assert doctor.status == 0, doctor.stdout
    assert doctor.stdout.count("ok") >= 6
    assert sandbox.cells == before
    assert sandbox.rows("scraping_logs") == logs


def test_doctor_warns_of_a_protected_cell_after_the_ok_line_of_the_sheet(tmp_path: Path) -> None:
    # A sandbox of its own: a run writes that row back, and then it is not ready any more.
    with running_sandbox(tmp_path) as sandbox:
        doctor = sandbox.invoke("doctor")

    assert doctor.status == 0, doctor.stdout
    lines = doctor.stdout.splitlines()
    sheet = next(i for i, line in enumerate(lines) if line.startswith("ok    sheet"))
    assert "rows, " in lines[sheet] and "may write Status" in lines[sheet]
    assert lines[sheet + 1].startswith("warn  sheet      the cell M8 (row 8, column")
