"""Whatever fails, no key, token or cell is logged or reported."""

from __future__ import annotations

import logging
import traceback

import pytest

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.sheet.write.plan import RowOutcome
from dagster_tiktok_tests.support.sheets import HEADER, RunningSheets, address, sheet_row

pytestmark = pytest.mark.slow

CELL = "CELL-TEXT-THAT-IS-NOBODYS-BUSINESS"

FAILURES = [
    ("unavailable", "read"),
    ("unavailable", "write"),
    ("rate_limited", "write"),
    ("forbidden", "any"),
    ("dropped", "any"),
    ("dropped", "write"),
    ("truncated", "read"),
    ("html", "any"),
    ("html", "token"),
    ("forbidden", "token"),
]


def test_no_failure_prints_a_secret(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    with RunningSheets([HEADER, sheet_row(1, VA=CELL, Notes=CELL)]) as sheets:
        outcome = RowOutcome(source_key=address(1), outcome="unavailable", reason=CELL)
        for kind, operation in FAILURES:
            sheets.control("POST", "reset")
            sheets.fault(kind, operation, count=99, retry_after=0)
            with pytest.raises((ConfigurationError, ServiceUnavailableError)) as raised:
                sheets.client(attempts=2).write_outcomes([outcome])
            told.append("".join(traceback.format_exception(raised.value)))
            told.append(repr(raised.value))
        sheets.control("POST", "reset")
        client = sheets.client()
        client.write_outcomes([outcome])
        told.append(repr(vars(client)))
        info = sheets.server.service_account_info()
    key_lines = info["private_key"].splitlines()[1:-1]
    captured = capfd.readouterr()
    output = "\n".join([caplog.text, captured.out, captured.err, *told])
    output += "\n".join(repr(vars(record)) for record in caplog.records)
    assert "sheets call=post:values:batchUpdateByDataFilter" in output
    for secret in (*key_lines, "ya29.", CELL, "assertion="):
        assert secret not in output
