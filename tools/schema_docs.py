"""`make docs`: docs/schema.md, the diagram and reference of the schema, from a migrated database.

Written here because nothing that installs from PyPI or npm does it: eralchemy draws tables but
knows no comments and no functions, and tbls, which knows them, is a program in Go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import psycopg
from psycopg.rows import scalar_row

from tools.postgres import PostgresServer, apply_migrations

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "schema.md"

_Entry: TypeAlias = Mapping[str, Any]

_HEAD = """\
# The schema

Written by `make docs` from the migrations; do not edit. [database.md](database.md) says what it is
for, with examples.

A solid line is a foreign key. A dashed one is not enforced: either row may be gone.
"""
_KINDS = {
    "interface": "Functions that the pipeline calls",
    "part": "Helpers",
    "trigger": "Trigger functions",
}


def main() -> None:
    with PostgresServer({"fsync": "off"}) as server:
        apply_migrations(server.url(), ROOT / "sql" / "migrations")
        PAGE.write_text(schema_page(catalogue(server.url())), encoding="utf-8")


def catalogue(url: str) -> dict[str, Any]:
    """What `sql/docs/catalogue.sql` says about a database: tables, functions and types."""
    query = (ROOT / "sql" / "docs" / "catalogue.sql").read_bytes()
    with psycopg.connect(url, row_factory=scalar_row) as connection:
        (schema,) = connection.execute(query).fetchall()
    return cast("dict[str, Any]", schema)


def schema_page(schema: _Entry) -> str:
    """The page about a schema, in Markdown."""
    lines = [_HEAD, *_diagram(schema["tables"])]
    for table in schema["tables"]:
        lines += _table(table)
    lines += _functions(schema["functions"])
    lines += ["## Types", "", *(f"- `{name}`: {text}" for name, text in schema["types"].items())]
    return "\n".join([*lines, ""])


def _diagram(tables: Sequence[_Entry]) -> Iterator[str]:
    yield from ("```mermaid", "erDiagram", "    direction LR")
    names = {(table["name"], column["name"]) for table in tables for column in table["columns"]}
    for table in tables:
        for column in table["columns"]:
            # A comment may name the column that the values are of: "… (scraping_logs.batch_id)."
            named = re.search(r"\((\w+)\.(\w+)\)", column["comment"])
            if column["parent"]:
                parent = "|o" if column["nullable"] else "||"
                yield f"    {column['parent']} {parent}--o{{ {table['name']} : {column['name']}"
            elif named and named.groups() in names:
                yield f"    {named[1]} |o..o{{ {table['name']} : {column['name']}"
    for table in tables:
        yield f"    {table['name']} {{"
        for column in table["columns"]:
            words = column["type"].replace(" ", "_"), column["name"], ", ".join(column["keys"])
            yield "        " + " ".join(words).rstrip()
        yield "    }"
    yield from ("```", "")


def _table(table: _Entry) -> Iterator[str]:
    yield from (f"## {table['name']}", "", table["comment"], "")
    yield from ("| column | type | null | default | |", "|---|---|---|---|---|")
    for column in table["columns"]:
        yield _cells(
            f"`{column['name']}`",
            column["type"],
            "yes" if column["nullable"] else "",
            f"`{column['default']}`" if column["default"] else "",
            column["comment"],
        )
    yield from ("", f"Rights: {'; '.join(table['rights'])}", "")
    for title in ("constraints", "indexes", "policies", "triggers"):
        if table[title]:
            yield from (f"{title.capitalize()}:", "")
            yield from (f"- `{name}`: `{text}`" for name, text in sorted(table[title].items()))
            yield ""


def _functions(functions: Sequence[_Entry]) -> Iterator[str]:
    yield from ("## Functions", "")
    for kind, title in _KINDS.items():
        yield from (f"### {title}", "", "| function | may be called by | |", "|---|---|---|")
        for function in functions:
            if function["kind"] == kind:
                owner = " With its owner's rights." if function["definer"] else ""
                yield _cells(
                    f"`{function['signature']}`",
                    ", ".join(function["callers"]) or "nobody",
                    function["comment"] + owner,
                )
        yield ""


def _cells(*texts: str) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


if __name__ == "__main__":
    main()
