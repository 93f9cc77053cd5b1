"""Who may do what with tables and functions: the page's table, proven by trying.

Over the interface of the local Supabase, and on a plain PostgreSQL as that interface acts there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import httpx
import psycopg
import pytest
from postgrest.exceptions import APIError
from psycopg import errors, sql
from supabase import Client

from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok_tests.support.database import (
    CONTENTS,
    TABLES,
    Database,
    client_of,
    signed_in_client,
)
from dagster_tiktok_tests.support.rights import (
    CHANGES,
    NEW_ROWS,
    RIGHTS,
    ROLES,
    ROWS,
    STORAGE_RIGHTS,
    TABLE_RIGHTS,
    act_as,
)

OPERATIONS = ("select", "insert", "update", "delete")
USERS = ("anonymous", "signed in")
# Posts last: with a post go its slides and metrics, which are to be tried too.
_IN_ORDER = sorted(TABLES, key="tiktok_posts".__eq__)
_FUNCTIONS = (
    "select proname as name, proargnames[:pronargs] as names, pronargs as arguments, "
    "pronamespace = 'public'::regnamespace as is_interface, "
    "pronamespace::regnamespace::text as schema "
    "from pg_catalog.pg_proc where pronamespace::regnamespace::text in ('public', 'private')"
)
_RIGHTS_GIVEN = """
    select 'table', c.relname, a.grantee::regrole::text, a.privilege_type
    from pg_catalog.pg_class as c, aclexplode(c.relacl) as a
    where c.relnamespace::regnamespace::text in ('public', 'private')
      and a.grantee <> c.relowner
    union all
    select 'function', p.oid::regprocedure::text, a.grantee::regrole::text, a.privilege_type
    from pg_catalog.pg_proc as p, aclexplode(p.proacl) as a
    where p.pronamespace::regnamespace::text in ('public', 'private')
      and a.grantee <> p.proowner
    union all
    select 'schema', n.nspname, a.grantee::regrole::text, a.privilege_type
    from pg_catalog.pg_namespace as n, aclexplode(n.nspacl) as a
    where n.nspname = 'private' and a.grantee <> n.nspowner
    union all
    select 'column', a.attrelid::regclass || '.' || a.attname, r.grantee::regrole::text,
      r.privilege_type
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_class as c on c.oid = a.attrelid
    cross join aclexplode(a.attacl) as r
    where c.relnamespace::regnamespace::text in ('public', 'private')
    union all
    select 'type', t.oid::regtype::text, a.grantee::regrole::text, a.privilege_type
    from pg_catalog.pg_type as t
    cross join aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) as a
    where t.typnamespace = 'private'::regnamespace and t.typtype = 'c' and a.grantee <> t.typowner
    order by 1, 2, 3, 4"""


@pytest.fixture(scope="module")
def clients(supabase: SupabaseServer, database: Database) -> dict[str, Client]:
    return {
        "anonymous": client_of(supabase, supabase.publishable_key),
        "signed in": signed_in_client(supabase),
        "secret key": database.client,
    }


@pytest.fixture(params=["plain", "hosted"])
def connection(
    request: pytest.FixtureRequest, plain_url: str, hosted_url: str
) -> Iterator[psycopg.Connection]:
    """A superuser's transaction, on tables with a row each; rolled back in the end."""
    url = {"plain": plain_url, "hosted": hosted_url}[request.param]
    with psycopg.connect(url) as transaction:
        transaction.execute(ROWS.encode())
        yield transaction
        transaction.rollback()


def test_the_docs_say_who_may_use_which_tables_and_functions() -> None:
    said = {*product(TABLES, OPERATIONS), ("public", "call"), ("private", "call")}
    said.add(("scraping_logs", "select these columns"))
    assert set(RIGHTS) - set(STORAGE_RIGHTS) == said


def _written_back(work: Callable[[], Any]) -> int:
    """How many rows an operation saw or changed; 0 if it is rejected."""
    try:
        return len(work().data)
    except APIError as error:
        assert "permission denied" in str(error.message) or "row-level" in str(error.message), error
        return 0


def _readable(table: str) -> str:
    """What a signed-in user may ask for: of a batch not all columns."""
    return "id" if table == "scraping_logs" else "*"


def _requests(client: Client, table: str) -> dict[str, Callable[[], Any]]:
    rows = client.table(table)
    key = "post_id" if table == "post_metrics" else "id"
    return {
        "select": lambda: rows.select(_readable(table)).execute(),
        "insert": lambda: rows.insert(NEW_ROWS[table]).execute(),
        "update": lambda: rows.update(CHANGES[table]).gte(key, 0).execute(),
        "delete": lambda: rows.delete().gte(key, 0).execute(),
    }


@pytest.mark.parametrize("role", ROLES)
def test_rights_on_tables_over_the_api_are_as_documented(
    clients: dict[str, Client], db: Database, role: str
) -> None:
    db.execute(ROWS)
    before = db.query(CONTENTS)

    may = {
        (table, operation): _written_back(work) > 0
        for table in _IN_ORDER
        for operation, work in _requests(clients[role], table).items()
    }

    assert may == {what: rights[role] for what, rights in TABLE_RIGHTS.items()}
    if role in USERS:
        assert db.query(CONTENTS) == before


def _affected(connection: psycopg.Connection, statement: sql.Composed) -> int:
    try:
        with connection.transaction():
            return connection.execute(statement).rowcount
    except errors.InsufficientPrivilege:
        return 0


def _statements(table: str) -> dict[str, sql.Composed]:
    """Each needs the one right and no other: an update that reads would need two."""
    new, changes = NEW_ROWS[table], CHANGES[table]
    set_ = [sql.SQL("{} = {}").format(sql.Identifier(k), v) for k, v in changes.items()]
    parts = {
        "table": sql.Identifier(table),
        "columns": sql.SQL(", ").join(map(sql.Identifier, new)),
        "values": sql.SQL(", ").join(map(sql.Literal, new.values())),
        "changes": sql.SQL(", ").join(set_),
    }
    return {
        "select": sql.SQL(f"select {_readable(table)} from public.{{table}}").format(**parts),
        "insert": sql.SQL("insert into public.{table} ({columns}) values ({values})").format(
            **parts
        ),
        "update": sql.SQL("update public.{table} set {changes}").format(**parts),
        "delete": sql.SQL("delete from public.{table}").format(**parts),
    }


@pytest.mark.parametrize("role", ROLES)
def test_rights_on_tables_in_postgresql_are_as_documented(
    connection: psycopg.Connection, role: str
) -> None:
    before = connection.execute(CONTENTS.encode()).fetchall()
    act_as(connection, role)

    may = {
        (table, operation): _affected(connection, statement) > 0
        for table in _IN_ORDER
        for operation, statement in _statements(table).items()
    }

    assert may == {what: rights[role] for what, rights in TABLE_RIGHTS.items()}
    for table in TABLES:
        with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
            connection.execute(sql.SQL("truncate public.{} cascade").format(sql.Identifier(table)))
    if role in USERS:
        connection.execute("reset role")
        assert connection.execute(CONTENTS.encode()).fetchall() == before


@pytest.mark.parametrize("role", ROLES)
def test_only_the_secret_key_reads_what_servers_said_in_a_batch(
    connection: psycopg.Connection, role: str
) -> None:
    columns = connection.execute(
        "select attname from pg_catalog.pg_attribute "
        "where attrelid = 'public.scraping_logs'::regclass and attnum > 0 and not attisdropped"
    ).fetchall()
    act_as(connection, role)

    may = {
        name: _affected(
            connection,
            sql.SQL("select {} from public.scraping_logs").format(sql.Identifier(name)),
        )
        > 0
        for (name,) in columns
    }

    hidden = {"source_reference", "error_message", "failures"}
    assert {name for name in hidden if may.pop(name)} == (
        hidden if RIGHTS["scraping_logs", "select these columns"][role] else set()
    )
    assert set(may.values()) == {RIGHTS["scraping_logs", "select"][role]}


@pytest.mark.parametrize("column", ["source_reference", "error_message", "failures"])
@pytest.mark.parametrize(
    "query",
    [
        "select id from public.scraping_logs where {}::text like '%'",  # a filter tells it too
        "select id from public.scraping_logs order by {}",
        "select count({}) from public.scraping_logs",
        "select l.{}, p.id from public.scraping_logs as l join public.tiktok_posts as p using (id)",
        "select to_jsonb(l) - 'no {}' from public.scraping_logs as l",
        "select l, '{}' from public.scraping_logs as l",
        "table public.scraping_logs /* {} */",
    ],
)
def test_a_signed_in_user_reads_no_hidden_column(
    connection: psycopg.Connection, query: str, column: str
) -> None:
    act_as(connection, "signed in")
    with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
        connection.execute(query.format(column).encode())


def test_the_migrations_remove_the_default_rights_of_a_hosted_project(
    plain_url: str, hosted_url: str
) -> None:
    with psycopg.connect(plain_url) as plain, psycopg.connect(hosted_url) as hosted:
        expected = plain.execute(_RIGHTS_GIVEN).fetchall()
        assert len(expected) > len(TABLES)
        assert hosted.execute(_RIGHTS_GIVEN).fetchall() == expected


@pytest.mark.parametrize("role", USERS)
def test_a_publishable_key_may_call_no_function(
    clients: dict[str, Client], database: Database, role: str
) -> None:
    functions = database.query(f"{_FUNCTIONS} and pronamespace = 'public'::regnamespace")
    assert len(functions) > 15
    for function in functions:
        with pytest.raises(APIError, match="permission denied for function"):
            clients[role].rpc(function["name"], {"p": {}}).execute()


@pytest.mark.parametrize("role", ROLES)
def test_no_key_reaches_the_functions_of_private(
    clients: dict[str, Client], database: Database, role: str
) -> None:
    functions = database.query(f"{_FUNCTIONS} and pronamespace = 'private'::regnamespace")
    assert len(functions) > 25 and not RIGHTS["private", "call"][role]
    for function in functions:
        arguments = dict.fromkeys(function["names"] or [])
        with pytest.raises(APIError) as rejected:
            clients[role].rpc(function["name"], arguments).execute()
        assert rejected.value.code == "PGRST202", function["name"]
        with pytest.raises(APIError) as rejected:
            clients[role].schema("private").rpc(function["name"], {}).execute()
        assert rejected.value.code in ("PGRST106", "PGRST202"), function["name"]


@pytest.mark.parametrize("role", ROLES)
def test_only_the_secret_key_may_call_functions_in_postgresql(
    connection: psycopg.Connection, role: str
) -> None:
    functions = connection.execute(_FUNCTIONS.encode()).fetchall()
    act_as(connection, role)

    may = {}
    for name, _, arguments, is_interface, schema in functions:
        given = sql.SQL(", ").join([sql.SQL("'{}'" if is_interface else "null")] * arguments)
        call = sql.SQL("select {}({})").format(sql.Identifier(schema, name), given)
        may[name, is_interface] = not _is_rejected(connection, call)

    assert len(may) == len(functions) > 20
    if RIGHTS["public", "call"][role]:
        assert [name for name, is_interface in may if is_interface and not may[name, True]] == []
    else:
        assert not any(may.values())


def _is_rejected(connection: psycopg.Connection, call: sql.Composed) -> bool:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(call)
    except errors.InsufficientPrivilege as rejected:
        return "for function" in str(rejected) or "for schema private" in str(rejected)
    except psycopg.Error:  # it ran, and did not like its empty arguments
        pass
    return False


def test_a_wrong_key_is_rejected(supabase: SupabaseServer) -> None:
    for key in ("sb_secret_wrong", "sb_publishable_wrong"):
        response = httpx.get(f"{supabase.url}/rest/v1/tiktok_posts", headers={"apikey": key})
        assert response.status_code == 401
    assert httpx.get(f"{supabase.url}/rest/v1/tiktok_posts").status_code == 401
