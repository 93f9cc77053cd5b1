"""The calendar, the seam for other resources, and the names in the files beside the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dagster_tiktok.definitions import build_definitions, defs

ROOT = Path(__file__).parents[1]


def test_the_nightly_run_has_the_key_of_its_own_day() -> None:
    from datetime import datetime, timezone  # noqa: PLC0415

    schedule = defs.resolve_schedule_def("daily_scrape")
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 11, 10, 2, 0, tzinfo=timezone.utc),
        repository_def=defs.get_repository_def(),
    )

    (request,) = schedule.evaluate_tick(context).run_requests or []

    assert request.partition_key == "2026-11-10"


def test_an_override_of_an_unknown_resource_is_rejected() -> None:
    with pytest.raises(TypeError, match="no such resource: sheets"):
        build_definitions(sheets=None)


def test_workspace_and_pyproject_name_the_same_module() -> None:
    workspace: Any = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    module = workspace["load_from"][0]["python_module"]
    pyproject = (ROOT / "pyproject.toml").read_text()

    assert re.search(rf'code_location_target_module = "{module["module_name"]}"', pyproject)
    assert re.search(rf'code_location_name = "{module["location_name"]}"', pyproject)
