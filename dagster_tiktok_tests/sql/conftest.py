"""One Supabase and one plain PostgreSQL for all tests of the schema."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.database import ROOT, Database, client_of, migrations_for_tests
from tools.postgres import PostgresServer, apply_migrations


@pytest.fixture(scope="session")
def supabase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupabaseServer]:
    folder: Path = tmp_path_factory.mktemp("supabase")
    server = SupabaseServer(folder / "state", migrations_for_tests(folder / "migrations"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.close())


@pytest.fixture(scope="session")
def database(supabase: SupabaseServer) -> Database:
    """The database with the secret key, as the last test left it."""
    return Database(client_of(supabase, supabase.secret_key))


@pytest.fixture
def db(database: Database) -> Database:
    """The database with the secret key and empty tables."""
    database.clear()
    return database


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A plain PostgreSQL; its database `migrated` is there to be copied."""
    with PostgresServer({"fsync": "off"}) as server:
        apply_migrations(server.create_database("migrated"), ROOT / "sql" / "migrations")
        yield server


@pytest.fixture(scope="session")
def plain_url(postgres: PostgresServer) -> str:
    """The connection string of a migrated database for tests that roll back what they do."""
    return postgres.create_database("plain", template="migrated")


@pytest.fixture(scope="session")
def hosted_url(postgres: PostgresServer, plain_url: str) -> str:
    """The same, prepared before the migrations as a hosted project is.

    Whoever applies them is no superuser, and what they create belongs to everybody by default.
    The roles are there since the migrations of another database.
    """
    with psycopg.connect(postgres.create_database("hosted"), autocommit=True) as connection:
        connection.execute((ROOT / "sql" / "tests" / "as_hosted.sql").read_bytes())
    url = postgres.url("hosted") + "?options=-crole%3Dhosted_owner"
    apply_migrations(url, ROOT / "sql" / "migrations")
    return postgres.url("hosted")


_numbers = count(1)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The superuser's connection string of a fresh database with the migrations applied."""
    return postgres.create_database(f"test_{next(_numbers)}", template="migrated")
