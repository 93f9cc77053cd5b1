"""Backups: copies that equal the original, or nothing. Run as a user runs them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dagster_tiktok.backup.database import connection_parameters, libpq_environment
from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok_tests.support.database import (
    ROOT,
    TABLES,
    Database,
    new_batch,
    persist_first_scrapes,
    post,
    slide,
)
from tools.postgres import PostgresServer, apply_migrations

_PATIENCE_SECONDS = 240
_HOSTILE = "Grüße 日本 🎉\n\\.\nCOPY public.tiktok_posts FROM stdin;\t\\N '\"{}; --"


class NativeDatabase(Database):
    """The database over a connection of its own, in place of Supabase's interface."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        name = sql.Identifier("public", function)
        statement = sql.SQL("select {}(%s) as returned").format(name)
        returned: dict[str, Any] = self.connection.execute(
            statement, [Jsonb(arguments)]
        ).fetchall()[0]["returned"]
        return returned

    def query(self, sql: str) -> list[dict[str, Any]]:
        return self.connection.execute(sql.encode()).fetchall()

    def execute(self, sql: str) -> None:
        self.connection.execute(sql.encode())

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        return {table: self.query(f"select * from {table} order by 1, 2") for table in TABLES}

    def next_ids(self) -> dict[str, int]:
        sequences = self.query("select sequencename as name from pg_sequences order by 1")
        assert len(sequences) == 5
        return {
            row["name"]: self.one(f"select nextval('public.{row['name']}') as id")["id"]
            for row in sequences
        }


@contextmanager
def _database(url: str) -> Iterator[NativeDatabase]:
    database = NativeDatabase(url)
    with database.connection:
        yield database


@pytest.fixture
def original(postgres_url: str) -> str:
    """The connection string of a database with rows in every table, some hard to copy."""
    with _database(postgres_url) as db:
        scrapes = {
            key: (post(key, slides=2, description=_HOSTILE), [slide(key, 1), slide(key, 2)])
            for key in ("1", "2", "3")
        }
        persist_first_scrapes(db, scrapes, creator="Zoë 日本")
        persist_first_scrapes(db, {"4": (post("4"), [])}, to="stored")
        batch = new_batch()
        db.call("open_batch", batch_id=batch, source_type="google_sheet", run_id=batch)
        db.execute(
            "update public.scraping_logs set duration_seconds = 0.1::float8 + 0.2, "
            "error_message = '', metrics = '{\"a\": [1.50, null, \"ü\"]}'"
        )
        db.execute(
            'update public.tiktok_posts set hashtags = \'{"a,b",NULL,""}\', views = 3, '
            "likes = 9223372036854775807, scrape_interval = '1 mon 2 days 03:04:05.678' "
            "where tiktok_id = '1'"
        )
        db.execute("update public.tiktok_posts set created_date = null where tiktok_id = '2'")
        db.execute("delete from public.tiktok_posts where tiktok_id = '3'")
        assert all(db.everything().values())
    return postgres_url


@pytest.fixture
def empty(original: str, postgres: PostgresServer) -> str:
    """The connection string of a migrated database without rows, beside the original."""
    return postgres.create_database(f"{urlsplit(original).path[1:]}_copy", template="migrated")


def _start(folder: Path, url: str | None, *arguments: str | Path) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    environment.pop("SUPABASE_DB_URL", None)
    return subprocess.Popen(
        [sys.executable, "-m", "dagster_tiktok.cli.main", *map(str, arguments)],
        cwd=folder,
        env=environment | ({"SUPABASE_DB_URL": url} if url else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(folder: Path, url: str | None, *arguments: str | Path, status: int = 0) -> tuple[str, str]:
    """Returns what was printed, after making sure that no password is in it."""
    with _start(folder, url, *arguments) as process:
        output, errors = process.communicate()
    assert process.returncode == status, output + errors
    password = urlsplit(url).password if url else None
    assert password is None or password not in output + errors
    return output, errors


def _failure(folder: Path, url: str | None, *arguments: str | Path, status: int = 1) -> str:
    """Returns the one line that says why."""
    _, errors = _run(folder, url, *arguments, status=status)
    (line,) = errors.splitlines()
    assert line.startswith("dagster-tiktok: ")
    return line


def _back_up(folder: Path, url: str) -> Path:
    _run(folder, url, "backup", "--file", "x.dump")
    return folder / "x.dump"


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _waits_for_a_lock(watcher: NativeDatabase, session: str) -> bool:
    return bool(
        watcher.query(
            "select from pg_stat_activity where datname = current_database() "
            f"and wait_event_type = 'Lock' and {session}"
        )
    )


@contextmanager
def _halted_backup(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """A backup that has its snapshot, and waits for a table until the block ends."""
    with _database(url) as watcher, psycopg.connect(url) as holder:
        holder.execute("lock table public.scrape_units in access exclusive mode")
        process = _start(folder, url, "backup", "--file", "x.dump")
        try:
            _wait_until(lambda: _waits_for_a_lock(watcher, "application_name = 'pg_dump'"))
            yield process
        except BaseException:
            process.kill()
            raise


@contextmanager
def _halted_restore(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """A restore of x.dump that has loaded every row, and not committed, until the block ends."""
    with _database(url) as watcher, psycopg.connect(url) as holder:
        holder.execute("alter sequence public.tiktok_posts_id_seq increment by 1")
        process = _start(folder, url, "restore", "x.dump")
        try:
            _wait_until(lambda: _waits_for_a_lock(watcher, "query like '%setval%'"))
            yield process
        except BaseException:
            process.kill()
            raise


def test_a_restored_backup_has_equal_rows_and_continues_the_ids(
    original: str, empty: str, tmp_path: Path
) -> None:
    said, _ = _run(tmp_path, original, "backup")
    (dump,) = (tmp_path / "backups").glob("*.dump")
    assert said.startswith(f"backups/{dump.name}: 7 tables, ")
    assert {stat.S_IMODE(file.stat().st_mode) for file in dump.parent.iterdir()} == {0o600}

    lines = _run(tmp_path, empty, "restore", dump)[0].splitlines()

    assert all(line.endswith("rows, checksum equal") for line in lines[:-1])
    names = [*sorted(TABLES), "private.written_errors"]
    assert [line.split()[0] for line in lines[:-1]] == names
    with _database(original) as source, _database(empty) as copy:
        assert copy.everything() == source.everything()
        assert copy.next_ids() == source.next_ids()
        # Triggers fire again, for every later write.
        copy.execute("update public.tiktok_posts set va = 'Ben' where tiktok_id = '1'")
        assert len(copy.everything()["audit_log"]) == len(source.everything()["audit_log"]) + 1


def test_a_copy_with_other_settings_is_equal(original: str, empty: str, tmp_path: Path) -> None:
    dump = _back_up(tmp_path, original)
    _run(tmp_path, empty, "restore", dump)
    name = urlsplit(empty).path[1:]
    with _database(empty) as copy:
        for setting in (
            "timezone = 'Asia/Tokyo'",
            "datestyle = 'German'",
            "intervalstyle = 'iso_8601'",
            "extra_float_digits = -5",
            "bytea_output = 'escape'",
        ):
            copy.execute(f"alter database {name} set {setting}")
        # The order on disk changes too.
        copy.execute("update public.scrape_units set attempts = attempts")
        copy.execute("alter table public.tiktok_posts disable trigger user")
        copy.execute("update public.tiktok_posts set views = views where tiktok_id = '1'")

    said, errors = _run(tmp_path, empty, "compare", dump, status=1)

    # updated_at of the units moved, by trigger; everything else is as it was.
    assert [line.split()[0] for line in said.splitlines() if "differs" in line] == ["scrape_units"]
    assert errors == "dagster-tiktok: Not as in the backup: scrape_units.\n"


def test_the_comparison_names_a_table_with_a_changed_or_lost_row(
    original: str, empty: str, tmp_path: Path
) -> None:
    dump = _back_up(tmp_path, original)
    _run(tmp_path, empty, "restore", dump)
    with _database(empty) as copy:
        copy.execute("update public.post_metrics set likes = likes + 1 where post_id = 1")
        copy.execute("delete from public.scraping_logs")

    said, errors = _run(tmp_path, empty, "compare", dump, status=1)

    assert errors == "dagster-tiktok: Not as in the backup: post_metrics, scraping_logs.\n"
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in said.splitlines()}
    assert told["post_metrics"] == "2 rows, checksum differs"
    assert told["scraping_logs"] == "0 rows, the backup has 1"
    assert told["tiktok_posts"] == "2 rows, checksum equal"


def test_writes_during_a_backup_are_in_neither_dump_nor_manifest(
    original: str, empty: str, tmp_path: Path
) -> None:
    with _database(original) as source:
        before = source.everything()
        with _halted_backup(tmp_path, original) as process:
            source.execute("update public.tiktok_posts set va = 'Ben', views = 4")
            source.execute("delete from public.tiktok_slides where slide_number = 2")
            commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline")]
        process.communicate()

    assert process.returncode == 0
    password = str(urlsplit(original).password).encode()
    assert [command for command in commands if b"--snapshot=" in command]
    assert not [command for command in commands if password in command]
    _run(tmp_path, empty, "restore", "x.dump")
    with _database(empty) as copy:
        assert copy.everything() == before
    message = _failure(tmp_path, original, "compare", "x.dump")
    assert message.endswith("Not as in the backup: audit_log, tiktok_posts, tiktok_slides.")


def test_dump_and_manifest_agree_during_constant_writes(
    original: str, empty: str, tmp_path: Path
) -> None:
    done = threading.Event()

    def write() -> None:
        with _database(original) as source:
            while not done.is_set():
                source.execute("update public.scraping_logs set total_urls = total_urls + 1")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        dump = _back_up(tmp_path, original)
    finally:
        done.set()
        writer.join()

    _run(tmp_path, empty, "restore", dump)
    with _database(original) as source, _database(empty) as copy:
        (last,), (copied,) = (db.everything()["scraping_logs"] for db in (source, copy))
    assert 0 < copied["total_urls"] < last["total_urls"]


def test_a_killed_backup_does_not_look_finished(original: str, tmp_path: Path) -> None:
    with _halted_backup(tmp_path, original) as process:
        process.kill()
        process.communicate()
    with _database(original) as source:
        _wait_until(
            lambda: (
                not source.query("select from pg_stat_activity where application_name='pg_dump'")
            )
        )

    assert [file.suffix for file in tmp_path.iterdir()] == [".partial"]
    _back_up(tmp_path, original)


def test_a_failed_pg_dump_is_reported_and_leaves_nothing(original: str, tmp_path: Path) -> None:
    with _halted_backup(tmp_path, original) as process, _database(original) as source:
        source.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and application_name = 'pg_dump'"
        )
    _, errors = process.communicate()

    assert process.returncode == 1
    assert "terminating connection" in errors and "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_a_killed_restore_leaves_nothing_and_the_next_one_succeeds(
    original: str, empty: str, tmp_path: Path
) -> None:
    _back_up(tmp_path, original)
    with _halted_restore(tmp_path, empty) as process:
        process.kill()
        process.communicate()
        with _database(empty) as copy:
            assert not any(copy.everything().values())

    _run(tmp_path, empty, "restore", "x.dump")

    with _database(original) as source, _database(empty) as copy:
        assert copy.everything() == source.everything()
        assert copy.next_ids() == source.next_ids()


def test_existing_rows_stay_unless_they_are_to_be_replaced(
    original: str, empty: str, tmp_path: Path
) -> None:
    dump = _back_up(tmp_path, original)
    with _database(empty) as copy:
        copy.execute(
            "insert into public.tiktok_posts (tiktok_id, post_url) values ('9', 'https://x/9')"
        )
        there = copy.everything()

        message = _failure(tmp_path, empty, "restore", dump)
        assert "audit_log, tiktok_posts: not empty" in message and "REPLACE=yes" in message
        assert copy.everything() == there

        _run(tmp_path, empty, "restore", dump, "--replace")
        with _database(original) as source:
            assert copy.everything() == source.everything()


def test_nothing_is_restored_when_the_manifest_disagrees(
    original: str, empty: str, tmp_path: Path
) -> None:
    dump = _back_up(tmp_path, original)
    manifest = tmp_path / "x.dump.json"
    told = json.loads(manifest.read_text())
    told["tables"]["tiktok_slides"]["rows"] += 1
    manifest.write_text(json.dumps(told))

    message = _failure(tmp_path, empty, "restore", dump, "--replace")

    assert message.endswith("Not as in the backup: tiktok_slides. Nothing was restored.")
    with _database(empty) as copy:
        assert not any(copy.everything().values())


def test_nothing_is_restored_from_a_truncated_dump(
    original: str, empty: str, tmp_path: Path
) -> None:
    dump = _back_up(tmp_path, original)
    dump.write_bytes(dump.read_bytes()[:-10])
    assert "was truncated or changed" in _failure(tmp_path, empty, "restore", dump)

    # Even if the manifest was written for it: pg_restore fails after some of the tables.
    manifest = tmp_path / "x.dump.json"
    told = json.loads(manifest.read_text())
    digest = subprocess.run(["sha256sum", dump], capture_output=True, text=True, check=True)
    manifest.write_text(json.dumps(told | {"dump_sha256": digest.stdout.split()[0]}))
    assert "pg_restore: error: " in _failure(tmp_path, empty, "restore", dump)
    with _database(empty) as copy:
        assert not any(copy.everything().values())


def test_a_backup_of_another_schema_is_not_restored_and_the_message_says_what_to_do(
    original: str, empty: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    dump = _back_up(tmp_path, original)
    bare = postgres.create_database(f"{urlsplit(original).path[1:]}_bare")
    assert "supabase db push" in _failure(tmp_path, bare, "restore", dump)
    assert "supabase db push" in _failure(tmp_path, bare, "backup")

    with _database(empty) as copy:
        copy.execute("drop table public.audit_log cascade")
        assert "has no table audit_log" in _failure(tmp_path, empty, "restore", dump)
        copy.execute(
            "create or replace function public.schema_version(p jsonb default '{}') returns jsonb "
            "language sql as $$ select jsonb_build_object('version', 3) $$"
        )
    for command in ("restore", "compare"):
        message = _failure(tmp_path, empty, command, dump)
        assert "is at 3: see docs/back-up.md" in message


def test_the_owner_of_a_hosted_project_can_back_up_and_restore(
    postgres: PostgresServer, original: str, tmp_path: Path
) -> None:
    parts = urlsplit(original)
    name = f"{parts.path[1:]}_owned"
    with _database(postgres.create_database(name)) as admin:
        admin.execute("create role project_owner login createrole bypassrls password 'its-secret'")
        admin.execute(f"alter database {name} owner to project_owner")
    owned = f"postgresql://project_owner:its-secret@{parts.hostname}:{parts.port}/{name}"
    apply_migrations(owned, ROOT / "sql" / "migrations")
    dump = _back_up(tmp_path, original)

    assert "use the role postgres" in _failure(tmp_path, owned, "restore", dump)
    with _database(original) as source:
        source.execute("grant set on parameter session_replication_role to project_owner")
    _run(tmp_path, owned, "restore", dump)
    _run(tmp_path, owned, "backup", "--file", "owned.dump")

    assert (
        json.loads((tmp_path / "owned.dump.json").read_text())["tables"]
        == (json.loads((tmp_path / "x.dump.json").read_text())["tables"])
    )


def test_a_table_that_users_added_is_in_the_backup(
    original: str, empty: str, tmp_path: Path
) -> None:
    for url in (original, empty):
        with _database(url) as db:
            db.execute('create table public."My notes" (r text, note text)')
            db.execute('create table private."My notes" (r text)')
    with _database(original) as source:
        source.execute("""insert into private."My notes" values ('a')""")
        source.execute("""insert into public."My notes" values ('a', E'b\\n'), (null, '')""")

    dump = _back_up(tmp_path, original)
    said, _ = _run(tmp_path, empty, "restore", dump)

    lines = [line.split() for line in said.splitlines()]
    assert ["My", "notes", "2", "rows,", "checksum", "equal"] in lines
    assert ["private.My", "notes", "1", "rows,", "checksum", "equal"] in lines
    with _database(empty) as copy:
        assert copy.query('select r from private."My notes"') == [{"r": "a"}]


def test_a_file_that_is_no_backup_is_named(original: str, empty: str, tmp_path: Path) -> None:
    dump = tmp_path / "x.dump"
    assert "x.dump is missing" in _failure(tmp_path, empty, "restore", dump)
    dump.write_text("a letter")
    assert "x.dump.json is missing" in _failure(tmp_path, empty, "restore", dump)
    for text in ("", "{}", "[1]", '{"rows": 3}', "\x00"):
        (tmp_path / "x.dump.json").write_text(text)
        message = _failure(tmp_path, empty, "restore", dump)
        assert "x.dump.json is not the manifest of a backup" in message
    assert "x.dump exists already" in _failure(tmp_path, original, "backup", "--file", dump)
    assert dump.read_text() == "a letter"
    assert str(dump) in _failure(tmp_path, original, "backup", "--file", dump / "y.dump")


def test_the_message_says_why_there_is_no_database(postgres_url: str, tmp_path: Path) -> None:
    assert "SUPABASE_DB_URL is not set" in _failure(tmp_path, None, "backup", status=2)
    nobody = "postgresql://postgres:its-secret@127.0.0.1:9/postgres"
    assert "Connection refused" in _failure(tmp_path, nobody, "backup")
    stranger = postgres_url.replace(str(urlsplit(postgres_url).password), "not-the-password")
    assert "password authentication failed" in _failure(tmp_path, stranger, "backup")
    assert not list(tmp_path.glob("**/*.*"))

    (tmp_path / ".env").write_text(f"SUPABASE_DB_URL={postgres_url}\nSUPABASE_KEY=other\n")
    assert "7 tables, 0 rows" in _run(tmp_path, None, "backup")[0]


@pytest.mark.parametrize(
    "url",
    [
        "https://project.supabase.co",
        "postgresql://postgres:its@secret@db.example:5432/postgres",
        "postgresql://postgres:its/secret@db.example:5432/postgres",
        "postgresql://postgres:its@secret/x@db.example:5432/postgres",
        "postgresql://postgres:its@secret:x@db.example:5432/postgres",
        "postgresql://postgres:its%secret@db.example:5432/postgres",
        "postgresql://postgres:secret@db.example:6543/postgres",
        "",
    ],
)
def test_the_message_on_an_invalid_connection_string_repeats_none_of_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SUPABASE_DB_URL ") as raised:
        connection_parameters(url)
    assert "secret" not in str(raised.value) and "db.example" not in str(raised.value)


def test_programs_get_the_connection_string_through_their_environment() -> None:
    url = "postgresql://postgres:p%40ss%2Fword@db.example:5432/postgres?sslmode=require"
    assert libpq_environment(connection_parameters(url)) == {
        "PGUSER": "postgres",
        "PGPASSWORD": "p@ss/word",
        "PGHOST": "db.example",
        "PGPORT": "5432",
        "PGDATABASE": "postgres",
        "PGSSLMODE": "require",
        "PGCONNECT_TIMEOUT": "15",
    }
