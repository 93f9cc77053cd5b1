"""The graph, its calendar and its names, as others rely on them: a change is seen in review."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dagster_tiktok.definitions import build_definitions, defs

ROOT = Path(__file__).parents[1]

GRAPH = {
    "sheet_rows": [],
    "scraped_posts": ["sheet_rows"],
    "slide_files": ["scraped_posts"],
    "tiktok_posts": ["slide_files"],
    "tiktok_slides": ["slide_files"],
    "sheet_status": ["tiktok_posts", "tiktok_slides"],
    "scraping_logs": ["sheet_status"],
}


def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_lineage_is_the_documented_one() -> None:
    lineage = {
        name: sorted(dep.asset_key.to_user_string() for dep in spec.deps)
        for name, spec in specs().items()
    }

    assert lineage == GRAPH


@pytest.mark.parametrize("name", GRAPH)
def test_every_asset_says_what_it_does_and_who_owns_it(name: str) -> None:
    spec = specs()[name]

    assert spec.group_name == "tiktok"
    assert spec.description
    assert spec.owners == ["team:content-data"]
    assert spec.kinds
    assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)
    assert spec.partitions_def.end_offset == 1


def test_the_job_the_schedule_and_the_sensors_have_their_names() -> None:
    job = defs.resolve_job_def("scrape_posts")
    schedule = defs.resolve_schedule_def("daily_scrape")
    sensors = {sensor.name for sensor in defs.sensors or []}

    assert job.executor_def is dg.in_process_executor
    assert schedule.cron_schedule == "0 2 * * *"
    assert schedule.execution_timezone == "UTC"
    assert sensors == {"ready_rows", "failure_alert", "sheet_alert"}


def test_the_nightly_run_has_the_key_of_its_own_day() -> None:
    from datetime import datetime, timezone  # noqa: PLC0415

    schedule = defs.resolve_schedule_def("daily_scrape")
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 11, 10, 2, 0, tzinfo=timezone.utc),
        repository_def=defs.get_repository_def(),
    )

    (request,) = schedule.evaluate_tick(context).run_requests or []

    assert request.partition_key == "2026-11-10"


def test_an_override_of_an_unknown_resource_is_refused() -> None:
    with pytest.raises(TypeError, match="no such resource: sheets"):
        build_definitions(sheets=None)


def test_workspace_and_pyproject_name_the_same_module() -> None:
    workspace: Any = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    module = workspace["load_from"][0]["python_module"]
    pyproject = (ROOT / "pyproject.toml").read_text()

    assert re.search(rf'code_location_target_module = "{module["module_name"]}"', pyproject)
    assert re.search(rf'code_location_name = "{module["location_name"]}"', pyproject)
