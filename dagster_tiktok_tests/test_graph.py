"""Everything that Dagster sees, as a stored snapshot: a change is seen in review.

Update it after an intended change: `make test ARGS="-k test_graph --snapshot-update"`.
"""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from dagster_tiktok.definitions import defs


@pytest.fixture
def stored(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(JSONSnapshotExtension)


def test_assets(stored: SnapshotAssertion) -> None:
    assert stored == {
        spec.key.to_user_string(): {
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "group": spec.group_name,
            "kinds": sorted(spec.kinds),
            "owners": list(spec.owners),
            "description": spec.description,
            "code_version": spec.code_version,
            "metadata": {
                name: str(value)
                for name, value in sorted(spec.metadata.items())
                if not name.startswith("dagster/code_")
            },
            "partitions": _partitions(spec.partitions_def),
            "automation_condition": spec.automation_condition,
        }
        for spec in defs.resolve_all_asset_specs()
    }


def test_checks(stored: SnapshotAssertion) -> None:
    graph = defs.resolve_asset_graph()

    assert stored == {
        f"{key.asset_key.to_user_string()}:{key.name}": {
            "description": graph.get_check_spec(key).description,
            "blocking": graph.get_check_spec(key).blocking,
        }
        for key in sorted(graph.asset_check_keys)
    }


def test_jobs_schedules_and_sensors(stored: SnapshotAssertion) -> None:
    repository = defs.get_repository_def()

    assert stored == {
        "jobs": {
            job.name: {
                "description": job.description,
                "tags": dict(job.tags),
                "executor": job.executor_def.name,
                "partitions": _partitions(job.partitions_def),
            }
            for job in repository.get_all_jobs()
            if not job.name.startswith("__")
        },
        "schedules": {
            schedule.name: {
                "job": schedule.job_name,
                "cron": schedule.cron_schedule,
                "timezone": schedule.execution_timezone,
                "status": schedule.default_status.value,
                "description": schedule.description,
            }
            for schedule in repository.schedule_defs
        },
        "sensors": {
            sensor.name: {
                "kind": sensor.sensor_type.value,
                "jobs": sorted(target.job_name for target in sensor.targets),
                "every_seconds": sensor.minimum_interval_seconds,
                "status": sensor.default_status.value,
                "description": sensor.description,
            }
            for sensor in repository.sensor_defs
        },
    }


def _partitions(definition: dg.PartitionsDefinition[str] | None) -> dict[str, Any] | None:
    if definition is None:
        return None
    assert isinstance(definition, dg.DailyPartitionsDefinition)
    return {
        "start": f"{definition.start:%Y-%m-%d}",
        "timezone": definition.timezone,
        "end_offset": definition.end_offset,
    }
