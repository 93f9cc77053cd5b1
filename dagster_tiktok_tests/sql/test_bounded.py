"""Posts that the database rejects cost a bounded time: a call never runs into its time limit.

How many runs a limit of 2 s takes for 250 carousels is measured by benchmarks/rejected_posts.py.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from dagster_tiktok_tests.support.database import TODAY, new_batch, post, slide

LIMIT = "8s"
"""The API's own. Half of it is there for the one post that is begun in the other half."""
_UNITS = """
    insert into public.scrape_units (source, source_key, due_date, state, outcome, tiktok_id,
      post, slides)
    select 'sheet', 'key ' || (u ->> 'tiktok_id'), %s, 'stored', 'scraped', u ->> 'tiktok_id',
      u -> 'post', u -> 'slides'
    from jsonb_array_elements(%s) as u"""
_PAUSE = """
    create function public.pause() returns trigger language plpgsql as $$
    begin
      perform pg_sleep(0.4);
      return new;
    end $$;
    create trigger pause before insert on public.tiktok_posts
      for each row execute function public.pause()"""


def _stored(connection: psycopg.Connection[Any], posts: int, *, slides: int) -> None:
    """Units whose slides are stored; every second one is rejected."""
    units = [
        {
            "tiktok_id": str(1000 + n),
            "post": post(str(1000 + n), slides=slides, views=-1 if n % 2 else 7),
            "slides": [slide(str(1000 + n), number) for number in range(1, slides + 1)],
        }
        for n in range(posts)
    ]
    connection.execute(_UNITS, [TODAY, json.dumps(units)])


def _call(connection: psycopg.Connection[Any], function: str, **arguments: Any) -> dict[str, Any]:
    (returned,) = connection.execute(
        f"select public.{function}(%s)".encode(), [Jsonb(arguments)]
    ).fetchall()
    return dict(returned)


def _run(
    connection: psycopg.Connection[Any], limit: int, time_limit: str = LIMIT
) -> tuple[list[int], dict[str, Any]]:
    """A batch claims what is stored and calls persist_units once. Returns its units too."""
    day, batch = TODAY.isoformat(), new_batch()
    claim = {
        "state": "stored",
        "due_date": day,
        "timezone": "UTC",
        "sources": ["sheet"],
        "claim_id": new_batch(),
    }
    claimed = _call(connection, "claim_units", **claim, owner=batch, limit=limit, lease_seconds=600)
    units = [unit["id"] for unit in claimed["units"]]
    connection.execute(f"set statement_timeout = '{time_limit}'".encode())
    written = _call(connection, "persist_units", owner=batch, unit_ids=units)
    connection.execute("reset statement_timeout")
    return units, written


def test_posts_beyond_the_time_limit_are_not_tried_and_not_blamed(postgres_url: str) -> None:
    # 30 posts that take 0.4 s each at least: half of the limit is over after ten of them.
    with psycopg.connect(postgres_url, autocommit=True, row_factory=scalar_row) as connection:
        connection.execute(_PAUSE.encode())
        _stored(connection, 30, slides=1)
        units, written = _run(connection, 30)

        not_tried = written["not_tried"]
        tried = set(units) - set(not_tried)
        assert not_tried and tried
        assert written["persisted"] + len(written["failed"]) == len(tried)
        left = connection.execute(
            "select count(*) from public.scrape_units where id = any (%s) and state = 'stored' "
            "and attempts = 0 and error is null and failed_batch_id is null "
            "and leased_by is not null",
            [not_tried],
        ).fetchone()
        assert left == len(not_tried)


@pytest.mark.slow
def test_the_good_half_of_250_carousels_is_written(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True, row_factory=scalar_row) as connection:
        _stored(connection, 250, slides=35)
        # So many runs as the machine needs; on a fast one it is the first.
        while _run(connection, 250, "60s")[1]["not_tried"]:
            connection.execute(
                "update public.scrape_units set leased_by = null, lease_until = null, "
                "claim_id = null"
            )
        written = connection.execute("select count(*) from public.tiktok_posts").fetchone()
        slides = connection.execute("select count(*) from public.tiktok_slides").fetchone()
        assert (written, slides) == (125, 125 * 35)
