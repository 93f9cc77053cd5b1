"""The clock that can be moved is the sandbox's alone: no other database takes it."""

from __future__ import annotations

from datetime import date, datetime, timezone

import psycopg
import pytest

from dagster_tiktok.cli.doctor import clock_problem
from dagster_tiktok.database.functions import DatabaseClock
from dagster_tiktok.sandbox.serve import CLOCK, MARK

CLOCK_FILE = (CLOCK / "900_move_clock.sql").read_bytes()
MARK_FILE = (MARK / "899_mark_sandbox.sql").read_bytes()


def _clock_of(connection: psycopg.Connection) -> tuple[bool, float]:
    row = connection.execute("""select public.database_clock('{"timezone": "UTC"}')""").fetchone()
    assert row is not None
    return row[0]["is_sandbox"], float(row[0]["ahead_seconds"])


def test_the_clock_cannot_be_moved_with_the_projects_migrations_alone(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert _clock_of(connection) == (False, 0)
        connection.commit()
        with pytest.raises(psycopg.errors.RaiseException, match="not a database of the sandbox"):
            connection.execute(CLOCK_FILE)
        connection.rollback()
        found = connection.execute("select to_regproc('public.sandbox_clock')").fetchone()
        assert found == (None,)


def test_the_clock_can_be_moved_in_a_sandbox_and_says_so(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute(MARK_FILE)
        connection.execute(CLOCK_FILE)
        connection.execute("""select public.sandbox_clock('{"by_seconds": 3600}')""")
        assert _clock_of(connection) == (True, 3600)


@pytest.mark.parametrize(
    ("is_sandbox", "ahead", "is_local", "told"),
    [
        (False, 0, False, None),
        (True, 0, True, None),
        (True, 3600, True, None),
        (True, 0, False, "has the schema sandbox"),
        (True, 3600, False, "moved by 3600 seconds"),
        (False, -60, False, "moved by -60 seconds"),
    ],
)
def test_doctor_names_a_movable_clock_outside_a_sandbox(
    is_sandbox: bool, ahead: float, is_local: bool, told: str | None
) -> None:
    clock = DatabaseClock(
        now=datetime(2026, 11, 20, tzinfo=timezone.utc),
        today=date(2026, 11, 20),
        is_sandbox=is_sandbox,
        ahead_seconds=ahead,
    )
    problem = clock_problem(clock, is_local=is_local)
    assert problem is None if told is None else problem is not None and told in problem
