"""How many bytes of the database a post and a slide take, with indexes, on a native PostgreSQL.

Where the plan sizes of docs/set-up-supabase.md come from. The rows are those of
`benchmarks/sql/fill`, as two years leave them and vacuumed; a database that is written to day by
day is some 15 to 20 % larger, by the space that updates leave between the rows.
"""

from __future__ import annotations

from pathlib import Path

import psycopg

from benchmarks.database_rows import TABLES, fill, migrated
from tools.postgres import PostgresServer

POSTS = 45_000
STORAGE = Path(__file__).resolve().parents[1] / "sql" / "tests" / "storage.sql"
"""The storage keeps a row an object in the same database."""
_SIZES = """
    select relname, pg_total_relation_size(c.oid)
    from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relname = any (%s)"""
_OBJECTS = """
    insert into storage.objects (bucket_id, name, metadata)
    select 'tiktok-slides', s.storage_path, jsonb_build_object('eTag', '"' || md5(s.content_hash)
      || '"', 'size', s.file_size, 'mimetype', s.mime_type, 'cacheControl',
      'max-age=31536000, immutable', 'lastModified', now(), 'contentLength', s.file_size,
      'httpStatusCode', 200)
    from public.tiktok_slides as s"""
_OBJECTS_SIZE = "select pg_total_relation_size('storage.objects')"
_SLIDES = "select count(*) from public.tiktok_slides"
_SLIDES_LOGGED = """
    select count(*) filter (where table_name = 'tiktok_slides')::float / count(*)
    from public.audit_log"""
_SHRINK = """select (private.prune_units('{"keep_days": 365}') ->> 'removed')::integer"""


def main(posts: int = POSTS) -> None:
    with PostgresServer({"fsync": "off"}) as server:
        url = migrated(server, "sizes")
        fill(url, posts)
        with psycopg.connect(url, autocommit=True) as connection:
            before = _sizes(connection)
            (slides,) = connection.execute(_SLIDES).fetchone() or (0,)
            (logged,) = connection.execute(_SLIDES_LOGGED).fetchone() or (0,)
            connection.execute(STORAGE.read_bytes())
            connection.execute(_OBJECTS)
            (objects,) = connection.execute(_OBJECTS_SIZE).fetchone() or (0,)
            removed = 0
            while answer := (connection.execute(_SHRINK).fetchone() or (0,))[0]:
                removed += answer
            connection.execute("vacuum full public.scrape_units")
            after = _sizes(connection)
    before["storage.objects"] = objects
    for table, size in before.items():
        print(f"{table:16} {size / posts:7,.0f} bytes a post")
    of_slides = before["tiktok_slides"] + before["audit_log"] * logged + objects
    of_posts = sum(before.values()) - of_slides
    print(f"{slides / posts:.1f} slides a post: {sum(before.values()) / posts:,.0f} bytes a post")
    print(
        f"a post without its slides {of_posts / posts:,.0f} bytes, a slide's row "
        f"{of_slides / slides:,.0f} bytes, so a carousel of seven "
        f"{of_posts / posts + 7 * of_slides / slides:,.0f} bytes"
    )
    saved = before["scrape_units"] - after["scrape_units"]
    print(
        f"shrinking the ledger removed {removed:,} looks: {saved / removed * 4:,.0f} bytes of an "
        "old post"
    )


def _sizes(connection: psycopg.Connection) -> dict[str, int]:
    return dict(connection.execute(_SIZES, (list(TABLES),)).fetchall())


if __name__ == "__main__":
    main()
