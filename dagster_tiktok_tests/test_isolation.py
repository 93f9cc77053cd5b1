"""A fault that nobody foresaw ends what it met, not what stands beside it."""

from __future__ import annotations

import logging

import pytest

from dagster_tiktok.cli.doctor import Check, CheckResult, Finding, run_checks
from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.settings import Settings
from dagster_tiktok.stages.isolation import Errors, collect_failure
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, sheet_row


def _broken(settings: Settings) -> str:
    return str(int("9" * 5000))


def test_a_check_that_raises_is_named_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    with RunningSheets([HEADER, sheet_row(1)]) as sheets:
        settings = sheets.settings()
    checks: list[Check] = [
        ("sheet", _broken),
        ("bucket", lambda _: CheckResult("is there", ("a warning",), "and cannot be used")),
        ("disk", lambda _: "free"),
    ]
    broken, *others = run_checks(checks, settings)
    assert (broken.name, broken.ok) == ("sheet", False)
    assert broken.message.startswith("an unexpected ValueError (Exceeds the limit")
    assert others == [
        Finding("bucket", True, "is there", ("a warning",)),
        Finding("bucket", False, "and cannot be used"),
        Finding("disk", True, "free"),
    ]
    assert "Traceback" in caplog.text


def test_one_failing_sheet_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    errors: Errors = {}
    done = []
    for name, error in {
        "tab 1": RuntimeError("apikey: 0123456789abcdef"),
        "tab 2": ConfigurationError("not shared"),
        "tab 3": None,
    }.items():
        with collect_failure(name, errors, logging.getLogger("test"), f"{name} cannot be read"):
            if error:
                raise error
            done.append(name)
    assert done == ["tab 3"]
    assert {name: str(error)[:30] for name, error in errors.items()} == {
        "tab 1": "an unexpected RuntimeError (ap",
        "tab 2": "not shared",
    }
    assert "0123456789abcdef" not in str(errors["tab 1"])
    assert "Traceback" in caplog.text
