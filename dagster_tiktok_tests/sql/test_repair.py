"""Rows of slides and objects of a bucket compared, on the local Supabase and on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql

from dagster_tiktok_tests.support.database import (
    FAR,
    NOON,
    ROOT,
    Database,
    new_batch,
    persist_first_scrapes,
    post,
    row,
    slide,
)
from dagster_tiktok_tests.support.rights import ROWS, act_as

STORAGE = (ROOT / "sql" / "tests" / "storage.sql").read_text()
LATER = FAR.isoformat()


class Place:
    """A database with a bucket of its own. `call` has the secret key, `query` may do anything."""

    def __init__(
        self,
        call: Callable[[str, dict[str, Any]], Any],
        execute: Callable[[str], object],
        query: Callable[[str], list[Any]],
    ) -> None:
        self.bucket = f"repair-{uuid4().hex}"
        self._call, self.execute, self.query = call, execute, query
        self.execute(
            f"insert into storage.buckets (id, name) values ('{self.bucket}', 'x{uuid4()}')"
        )

    def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        returned: dict[str, Any] = self._call(function, {"bucket": self.bucket, **arguments})
        return returned

    def broken(self) -> list[tuple[int, str]]:
        returned = self.call("find_broken_slides")
        return [(each["slide_number"], each["problem"]) for each in returned["slides"]]

    def unnamed(self, **arguments: Any) -> list[str]:
        returned = self.call("find_orphaned_objects", **{"older_than_hours": 24, **arguments})
        return [each["name"] for each in returned["objects"]]

    def store(self, name: str, size: object = 1234, *, hours_ago: float = 25) -> None:
        then = f"now() - interval '{hours_ago} hours'"
        metadata = json.dumps({} if size is None else {"size": size})
        self.execute(
            "insert into storage.objects (bucket_id, name, metadata, created_at, updated_at) "
            f"values ('{self.bucket}', '{name}', '{metadata}', {then}, {then})"
        )

    def post(self, tiktok_id: str, slides: list[dict[str, Any]]) -> None:
        """A post with rows of these slides, as a run leaves it."""
        self.execute(
            "insert into public.tiktok_posts (tiktok_id, post_url, slide_count) "
            f"values ('{tiktok_id}', 'https://www.tiktok.com/@mia/photo/{tiktok_id}', "
            f"{len(slides)})"
        )
        self.repair(tiktok_id, [{**each, "replaces": None} for each in slides])

    def repair(
        self, tiktok_id: str, slides: list[dict[str, Any]], slide_count: int | None = None
    ) -> dict[str, Any]:
        given: dict[str, Any] = {"tiktok_id": tiktok_id, "slides": slides}
        return self.call("repair_slides", **given, slide_count=slide_count)

    def rows(self) -> list[dict[str, Any]]:
        return self.query("select * from public.tiktok_slides order by post_id, slide_number")


@pytest.fixture(params=["supabase", "postgresql"])
def place(request: pytest.FixtureRequest, plain_url: str) -> Iterator[Place]:
    if request.param == "supabase":
        db: Database = request.getfixturevalue("db")
        place = Place(lambda name, p: db.call(name, **p), db.execute, db.query)
        yield place
        place.execute(f"delete from storage.objects where bucket_id = '{place.bucket}'")
        return
    with psycopg.connect(plain_url) as connection:  # rolled back in the end
        connection.execute(STORAGE.encode())

        def call(name: str, p: dict[str, Any]) -> Any:
            act_as(connection, "secret key")
            with connection.transaction():
                function = sql.SQL("select public.{}(%s)").format(sql.Identifier(name))
                ((returned,),) = connection.execute(function, [json.dumps(p)]).fetchall()
            connection.execute("reset role")
            return returned

        def query(statement: str) -> list[Any]:
            rows = connection.execute(f"select to_jsonb(x) from ({statement}) as x".encode())
            return [each for (each,) in rows.fetchall()]

        yield Place(call, lambda statement: connection.execute(statement.encode()), query)
        connection.rollback()


def test_rows_and_objects_that_disagree_are_found_page_by_page(place: Place) -> None:
    slides = [slide("1", n) for n in range(1, 6)]
    place.post("1", slides)
    for stored, size in zip(slides, (1234, 1233, None, "many")):
        place.store(stored["storage_path"], size)
    place.store(slides[0]["storage_path"] + "x")

    assert place.broken() == [
        (2, "other_size"),
        (3, "other_size"),
        (4, "other_size"),
        (5, "no_object"),
    ]
    first = place.call("find_broken_slides", limit=2)
    assert (first["examined"], [s["object_size"] for s in first["slides"]]) == (2, [1233])
    second = place.call("find_broken_slides", after=first["after"], limit=3)
    assert [s["slide_number"] for s in second["slides"]] == [3, 4, 5]
    third = place.call("find_broken_slides", after=second["after"], limit=3)
    assert third == {"examined": 0, "after": None, "slides": []}


def test_old_orphaned_objects_that_no_scrape_may_need_are_found(place: Place) -> None:
    named, elsewhere = slide("1", 1), {**slide("1", 2), "storage_path": "2/02-else.jpeg"}
    place.post("1", [named, elsewhere])
    for name in (named["storage_path"], "2/02-else.jpeg", "3/01-a.jpeg", "a/b''c", "Z", "é"):
        place.store(name)
    place.store("3/02-young.jpeg", hours_ago=23)

    found = place.call("find_orphaned_objects", older_than_hours=24)
    assert [each["name"] for each in found["objects"]] == ["3/01-a.jpeg", "Z", "a/b'c", "é"]
    assert (found["examined"], found["after"]) == (7, None)
    assert place.unnamed(older_than_hours=22.5, limit=3) == ["3/01-a.jpeg"]
    assert place.unnamed(after="3/01-a.jpeg", limit=2, older_than_hours=0) == [
        "3/02-young.jpeg",
        "Z",
    ]
    asked = ["3/01-a.jpeg", "not there", named["storage_path"], "3/02-young.jpeg"]
    assert place.unnamed(names=asked) == ["3/01-a.jpeg"]


def test_objects_of_units_in_progress_are_left_out(place: Place) -> None:
    payload = json.dumps([{"storage_path": "8/01-in-payload.jpeg"}])
    for key, state, tiktok_id, slides in (
        ("a", "scraped", "5", "null"),
        ("b", "stored", "6", f"'{payload}'"),
        ("c", "pending", "7", "null"),
    ):
        outcome = "null" if state == "pending" else "'scraped'"
        place.execute(
            "insert into public.scrape_units (source, source_key, due_date, state, outcome, "
            f"tiktok_id, slides) values ('sheet', '{key}', '2026-03-10', '{state}', {outcome}, "
            f"'{tiktok_id}', {slides})"
        )
    for name in ("5/01-a.jpeg", "6/01-a.jpeg", "7/01-a.jpeg", "8/01-in-payload.jpeg", "55/01.jpeg"):
        place.store(name)

    assert place.unnamed() == ["55/01.jpeg", "7/01-a.jpeg"]


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_only_current_versions_of_objects_count(place: Place) -> None:
    place.post("1", [slide("1", 1), slide("1", 2)])
    for name in (slide("1", 1)["storage_path"], slide("1", 2)["storage_path"], "3/01-a", "4/01-a"):
        place.store(name)
    place.execute("alter table storage.objects add column archived_at timestamptz")
    place.execute("alter table storage.objects add column is_delete_marker boolean default false")
    place.execute("update storage.objects set archived_at = now() where name like '1/02%'")
    place.execute("update storage.objects set is_delete_marker = true where name like '3/%'")

    assert place.broken() == [(2, "no_object")]
    assert place.unnamed() == ["4/01-a"]


def test_the_rows_and_broken_slide_numbers_of_a_post_are_returned(place: Place) -> None:
    key = "0123456789abcdef0123456789abcdef"
    named = {**slide("1", 2), "slide_url": f"https://p16.example/x/{key}~tplv.jpeg"}
    place.post("1", [{**slide("1", 1), "slide_url": "https://p16.example/x"}, named])
    place.store(slide("1", 1)["storage_path"])

    returned = place.call("slides_to_repair", tiktok_id="1")

    assert (returned["post_url"], returned["broken"]) == (
        "https://www.tiktok.com/@mia/photo/1",
        [2],
    )
    assert [(s["slide_number"], s["image_key"]) for s in returned["slides"]] == [
        (1, None),
        (2, key),
    ]
    nothing: dict[str, Any] = {"post_url": None, "slides": [], "broken": []}
    assert place.call("slides_to_repair", tiktok_id="2") == nothing


def _again(stored: dict[str, Any], replaces: dict[str, Any], **changes: Any) -> dict[str, Any]:
    times = {"downloaded_at": LATER, "uploaded_at": LATER}
    return {**stored, **times, **changes, "replaces": replaces["storage_path"]}


def test_recognised_text_stays_with_its_image_when_slides_are_stored_again(place: Place) -> None:
    old = [slide("1", n) for n in (1, 2, 3)]
    place.post("1", old)
    place.execute("update public.tiktok_slides set ocr_text = 'text', ocr_processed = true")
    new = [slide("1", 2, picture="b"), {**old[2], "storage_path": "1/03-moved.jpeg"}]
    for name in (old[0]["storage_path"], new[0]["storage_path"], new[1]["storage_path"]):
        place.store(name)

    returned = place.repair("1", [_again(new[0], old[1]), _again(new[1], old[2])])

    assert returned == {"written": 2, "removed": 0, "broken": []}
    rows = place.rows()
    assert [r["storage_path"] for r in rows] == [
        old[0]["storage_path"],
        new[0]["storage_path"],
        "1/03-moved.jpeg",
    ]
    assert [r["ocr_text"] for r in rows] == ["text", None, "text"]
    (written,) = place.query("select slides, slide_count from public.tiktok_posts")
    assert written == {"slides": [r["public_url"] for r in rows], "slide_count": 3}


def test_a_row_that_is_wrong_about_its_image_is_fixed(place: Place) -> None:
    right = slide("1", 1)
    place.post("1", [right])
    place.store(right["storage_path"])
    place.execute("update public.tiktok_slides set file_size = 7, width = 1, ocr_text = 'text'")
    assert place.broken() == [(1, "other_size")]

    assert place.repair("1", [_again(right, right)])["broken"] == []

    (row,) = place.rows()
    assert (row["file_size"], row["width"], row["ocr_text"]) == (1234, 10, "text")


def test_a_row_that_was_written_meanwhile_is_left_alone(place: Place) -> None:
    read, written = slide("1", 1), slide("1", 1, picture="b")
    place.post("1", [written])
    before = place.rows()

    late = [_again(slide("1", 1, picture="c"), read), _again(slide("1", 2), read)]
    returned = place.repair("1", late)

    assert returned == {"written": 0, "removed": 0, "broken": [1]}
    assert place.rows() == before
    assert place.repair("2", late) == {"written": 0, "removed": 0, "broken": []}


def test_rows_beyond_the_last_slide_are_removed(place: Place) -> None:
    slides = [slide("1", n) for n in (1, 2, 3)]
    place.post("1", slides)
    place.store(slides[0]["storage_path"])

    returned = place.repair("1", [], slide_count=1)

    assert returned == {"written": 0, "removed": 2, "broken": []}
    assert place.repair("1", [], slide_count=0) == {"written": 0, "removed": 0, "broken": []}
    (written,) = place.query("select slides, slide_count from public.tiktok_posts")
    assert written == {"slides": [slides[0]["public_url"]], "slide_count": 1}


def test_the_newer_upload_wins_when_a_post_is_scraped_during_its_repair(db: Database) -> None:
    old, new = slide("1", 1), slide("1", 1, picture="b", at=NOON + timedelta(hours=1))
    persist_first_scrapes(db, {"a": (post("1", slides=1), [old])})
    batch = new_batch()
    db.open(row("a"), batch=batch, read_at=FAR)
    (unit,) = db.claimed("pending", batch=batch)
    # No upload counts as later than the database's own time.
    db.set_clock(NOON + timedelta(days=3))
    page = post("1", slides=1, at=NOON + timedelta(hours=1))
    db.take_through({unit["id"]: (page, [new])}, batch=batch, to="stored")

    given = {"bucket": "tiktok-slides", "tiktok_id": "1"}
    repaired = db.call(
        "repair_slides", **given, slides=[{**_again(old, old), "storage_path": "1/x"}]
    )
    assert (repaired["written"], repaired["broken"]) == (1, [1])
    db.persist(unit["id"], batch=batch)

    # As between two scrapes.
    assert db.one("select storage_path from public.tiktok_slides") == {"storage_path": "1/x"}


def test_the_error_names_a_missing_storage_or_wrong_arguments(plain_url: str) -> None:
    calls: dict[str, dict[str, Any]] = {
        "find_broken_slides": {},
        "slides_to_repair": {"tiktok_id": "1"},
        "find_orphaned_objects": {"older_than_hours": 24},
    }
    with psycopg.connect(plain_url) as connection:
        connection.execute(ROWS.encode())

        def call(function: str, arguments: dict[str, Any]) -> None:
            with connection.transaction():
                name = sql.SQL("select public.{}(%s)").format(sql.Identifier(function))
                connection.execute(name, [json.dumps(arguments)])

        for function, arguments in calls.items():
            with pytest.raises(errors.InvalidParameterValue, match="bucket"):
                call(function, arguments)
            with pytest.raises(errors.FeatureNotSupported, match="no storage"):
                call(function, {**arguments, "bucket": "b"})
        with pytest.raises(errors.InvalidParameterValue, match="repair_slides needs"):
            call("repair_slides", {})
        connection.rollback()
