"""The sensors against a real sheet and a real webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from supabase import create_client

from dagster_tiktok.assets.attention import Notice, as_metadata
from dagster_tiktok.automation import failure_alert, ready_rows, sheet_alert
from dagster_tiktok.definitions import build_definitions
from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.resources.alerts import AlertResource
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.sheet import SheetResource
from dagster_tiktok.sandbox.serve import CLOCK, MARK, MIGRATIONS
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.responses import respond, status
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, sheet_row

pytestmark = pytest.mark.slow


@pytest.fixture
def webhook() -> Iterator[ScriptedServer]:
    """Accepts every alert, unless a test scripts something else."""
    with ScriptedServer(respond()) as server:
        yield server


def webhook_url(webhook: ScriptedServer) -> str:
    return f"{webhook.url}/services/SECRET"


def alert_texts(webhook: ScriptedServer) -> list[str]:
    return [json.loads(request.body)["text"] for request in webhook.requests]


@pytest.fixture(scope="module")
def supabase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupabaseServer]:
    server = SupabaseServer(tmp_path_factory.mktemp("supabase"), MIGRATIONS, also=[MARK, CLOCK])
    asyncio.run(server.start())
    yield server
    asyncio.run(server.close())


def move_clock(supabase: SupabaseServer, by: timedelta) -> None:
    client = create_client(supabase.url, supabase.secret_key)
    client.rpc("sandbox_clock", {"p": {"by_seconds": by.total_seconds()}}).execute()


def settings_file(folder: Path, **values: str) -> SettingsResource:
    given = {
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_KEY": "sb_secret_test",
        "GOOGLE_SHEETS_CREDENTIALS": "/nowhere/account.json",
        "GOOGLE_SHEET_URL": "https://docs.google.com/spreadsheets/d/1234567890abc/edit",
        **values,
    }
    path = folder / "env"
    path.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    return SettingsResource(env_file=str(path))


def sheet_settings(
    folder: Path, sheets: RunningSheets, supabase: SupabaseServer | None = None
) -> SettingsResource:
    """Without `supabase`, its URL leads nowhere."""
    account = folder / "account.json"
    account.write_text(json.dumps(sheets.server.service_account_info()))
    return settings_file(
        folder,
        GOOGLE_SHEETS_CREDENTIALS=str(account),
        GOOGLE_SHEET_URL=sheets.server.sheet_url,
        GOOGLE_SHEETS_API_URL=sheets.server.url,
        **({"SUPABASE_URL": supabase.url, "SUPABASE_KEY": supabase.secret_key} if supabase else {}),
    )


def tick(
    settings: SettingsResource, instance: dg.DagsterInstance, cursor: str | None = None
) -> dg.SensorResult | dg.SkipReason:
    resources = {
        "settings": settings,
        "sheet": SheetResource(settings=settings),
        "database": LedgerResource(settings=settings),
    }
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = ready_rows(context)
    assert isinstance(result, (dg.SensorResult, dg.SkipReason))
    return result


def today_of(settings: SettingsResource) -> date:
    return asyncio.run(LedgerResource(settings=settings).clock()).today


def test_ready_rows_request_one_run_of_today_with_one_read(
    tmp_path: Path, supabase: SupabaseServer
) -> None:
    with RunningSheets([HEADER, sheet_row(1), sheet_row(2)]) as sheets:
        settings = sheet_settings(tmp_path, sheets, supabase)
        with dg.DagsterInstance.ephemeral() as instance:
            first = tick(settings, instance)
            assert isinstance(first, dg.SensorResult)
            (request,) = first.run_requests or []
            assert request.partition_key == today_of(settings).isoformat()
            assert sheets.counts()["read"] == 1
            again = tick(settings, instance, first.cursor)

    assert isinstance(again, dg.SkipReason)
    assert "already had a run today" in str(again.skip_message)


def test_a_clock_a_day_ahead_requests_the_databases_day(
    tmp_path: Path, supabase: SupabaseServer
) -> None:
    move_clock(supabase, timedelta(days=-1))
    with RunningSheets([HEADER, sheet_row(1)]) as sheets:
        settings = sheet_settings(tmp_path, sheets, supabase)
        with dg.DagsterInstance.ephemeral() as instance:
            result = tick(settings, instance)
            assert isinstance(result, dg.SensorResult)
            (request,) = result.run_requests or []
            assert request.partition_key == today_of(settings).isoformat()
            move_clock(supabase, timedelta(days=1))
            # The day that this machine is at has begun: its rows have not had their run.
            assert isinstance(tick(settings, instance, result.cursor), dg.SensorResult)


def test_the_sensor_waits_when_the_clock_is_a_day_behind(
    tmp_path: Path, supabase: SupabaseServer
) -> None:
    move_clock(supabase, timedelta(days=1))
    with RunningSheets([HEADER, sheet_row(1)]) as sheets:
        settings = sheet_settings(tmp_path, sheets, supabase)
        with dg.DagsterInstance.ephemeral() as instance:
            result = tick(settings, instance)
    move_clock(supabase, timedelta(days=-1))
    assert isinstance(result, dg.SkipReason)
    assert "By the database's clock it is" in str(result.skip_message)


def test_no_run_is_requested_when_the_database_does_not_respond(tmp_path: Path) -> None:
    with (
        RunningSheets([HEADER, sheet_row(1)]) as sheets,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        result = tick(sheet_settings(tmp_path, sheets), instance)
    assert isinstance(result, dg.SkipReason)
    assert "Rows are ready, but the database is not: SUPABASE_URL" in str(result.skip_message)


def test_a_tick_reads_45_000_rows_in_one_read(tmp_path: Path, supabase: SupabaseServer) -> None:
    rows = [sheet_row(number, Status="Scraped") for number in range(1, 45_000)]
    with RunningSheets([HEADER, *rows, sheet_row(45_000)]) as sheets:
        with dg.DagsterInstance.ephemeral() as instance:
            result = tick(sheet_settings(tmp_path, sheets, supabase), instance)
        assert isinstance(result, dg.SensorResult)
        assert sheets.counts() == {"read": 1, "write": 0, "metadata": 0, "token": 1}


def test_the_sensor_waits_for_a_run_launched_from_the_graph(tmp_path: Path) -> None:
    with RunningSheets([HEADER, sheet_row(1)]) as sheets:
        settings = sheet_settings(tmp_path, sheets)
        with dg.DagsterInstance.ephemeral() as instance:
            instance.create_run_for_job(
                build_definitions(settings).resolve_job_def("scrape_posts"),
                status=dg.DagsterRunStatus.STARTED,
            )
            result = tick(settings, instance)

    assert isinstance(result, dg.SkipReason)
    assert "a run is in progress" in str(result.skip_message)


def test_an_unreadable_sheet_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = tick(settings_file(tmp_path), instance)

    assert isinstance(result, dg.SkipReason)
    assert "GOOGLE_SHEETS_CREDENTIALS" in str(result.skip_message)


def test_an_unreadable_tab_is_reported_and_the_others_decide(
    tmp_path: Path, supabase: SupabaseServer
) -> None:
    with RunningSheets([HEADER, sheet_row(1)]) as sheets:
        url = sheets.server.sheet_url
        gone = url.partition("#")[0] + "#gid=987654"
        env = tmp_path / "env"
        sheet_settings(tmp_path, sheets, supabase)
        env.write_text(env.read_text().replace(url, f"'{gone} {url}'"))
        settings = SettingsResource(env_file=str(env))
        with dg.DagsterInstance.ephemeral() as instance:
            first = tick(settings, instance)
            assert isinstance(first, dg.SensorResult) and first.run_requests
            again = tick(settings, instance, first.cursor)

    assert isinstance(again, dg.SkipReason)
    assert "already had a run today" in str(again.skip_message)
    assert "sheet 1 of GOOGLE_SHEET_URL: " in str(again.skip_message)


def test_the_alert_on_a_failed_run_says_which_day_and_why(
    tmp_path: Path, webhook: ScriptedServer
) -> None:
    settings = settings_file(tmp_path, ALERT_WEBHOOK_URL=webhook_url(webhook))
    webhook.on("/*", status(503), respond())
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_definitions(settings).resolve_job_def("scrape_posts")
        result = job.execute_in_process(
            instance=instance, partition_key="2026-11-20", raise_on_error=False
        )
        event = next(e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE")
        with dg.build_run_status_sensor_context(
            sensor_name="failure_alert",
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"alerts": AlertResource(settings=settings)},
        ).for_run_failure() as context:
            failure_alert(context)

    rejected, text = alert_texts(webhook)
    assert rejected == text
    assert text.startswith("scrape_posts failed for 2026-11-20: SUPABASE_URL")
    assert "cannot be reached" in text
    assert result.run_id[:8] in text


@pytest.mark.parametrize(("schedule", "told"), [("daily_scrape", True), (None, False)])
def test_only_the_nightly_run_alerts_on_ignored_rows(
    tmp_path: Path, webhook: ScriptedServer, schedule: str | None, told: bool
) -> None:
    notices = [
        Notice(row=n, kind="row_ignored", warning=f'unknown status "Draft {n}"') for n in range(12)
    ]

    @dg.asset
    def sheet_rows() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata=as_metadata(notices))

    settings = settings_file(tmp_path, ALERT_WEBHOOK_URL=webhook_url(webhook))
    tags = {"dagster/partition": "2026-11-20"}
    tags |= {"dagster/schedule_name": schedule} if schedule else {}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([sheet_rows], instance=instance, tags=tags)
        event = next(e for e in result.all_events if e.event_type_value == "PIPELINE_SUCCESS")
        with dg.build_run_status_sensor_context(
            sensor_name="sheet_alert",
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"alerts": AlertResource(settings=settings)},
        ) as context:
            sheet_alert(context)

    lines = [text.splitlines() for text in alert_texts(webhook)]
    assert [(text[0], text[1], text[-1]) for text in lines] == (
        [
            (
                "The sheet on 2026-11-20: please check",
                '- unknown status "Draft 11" (row 11)',
                "- and 2 more, see the asset sheet_rows",
            )
        ]
        if told
        else []
    )


def test_slack_markup_is_sent_as_text(tmp_path: Path, webhook: ScriptedServer) -> None:
    alerts = AlertResource(settings=settings_file(tmp_path, ALERT_WEBHOOK_URL=webhook_url(webhook)))

    alerts.send("<!channel> & <https://evil.example|click>")

    assert alert_texts(webhook) == ["&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;"]


def test_a_webhook_that_rejects_fails_the_tick_and_its_url_stays_secret(
    tmp_path: Path, webhook: ScriptedServer
) -> None:
    webhook.on("/*", status(404))
    alerts = AlertResource(settings=settings_file(tmp_path, ALERT_WEBHOOK_URL=webhook_url(webhook)))

    with pytest.raises(ServiceUnavailableError) as error:
        alerts.send("hello")

    assert "ALERT_WEBHOOK_URL rejected the alert (404)" in str(error.value)
    assert "SECRET" not in str(error.value)


def test_no_alert_is_sent_without_a_webhook(tmp_path: Path) -> None:
    assert AlertResource(settings=settings_file(tmp_path)).send("hello") is False
