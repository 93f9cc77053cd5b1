"""The sandbox's sheet: rows as VAs type them, with typical mistakes.

The first 60 rows are the same kinds in every world. Each further post of a larger world gets one
plain ready row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import chain, cycle, islice

from dagster_tiktok.sandbox.tiktok.content.fake_posts import FakePost
from dagster_tiktok.sandbox.tiktok.content.world import World

Cell = str | int | float
READY = "Ready to Scrape"
HEADER = [
    "Date", "VA", " post url", "CREATOR", "set id", "Type", "Status ", "error", "Scraped at",
    "views", "Likes", "Comments", "SHARES", "Slides", "Notes",
]  # fmt: skip
DEMO_ROWS = 60
DEMO_POSTS = 90
FORMULA_CELL, PROTECTED_CELL = "K4", "M8"
"""A metric that a VA computes, and one that the service account cannot edit: both stay unchanged,
and the rest of their rows is written."""
DEMO_EDITS = (
    {"do": "set", "cell": FORMULA_CELL, "value": "=J4/10"},
    {"do": "protect", "range": f"{PROTECTED_CELL}:{PROTECTED_CELL}"},
)
_VAS = ("Ana", "Bea", "Carlo", "Dina", "Efren", "Grace")
_WRITTEN_COLUMNS = 7
_SPARE_POSTS = 8

_FORMS: tuple[Callable[[FakePost], str], ...] = (
    lambda p: f"https://www.tiktok.com{p.path}",
    lambda p: f"https://www.tiktok.com{p.path}?is_from_webapp=1&sender_device=pc&web_id=74211",
    lambda p: f"https://vm.tiktok.com/{p.short_code}/",
    lambda p: f"www.tiktok.com{p.video_path}",
    lambda p: f"https://vt.tiktok.com/{p.short_code}",
    lambda p: f"tiktok.com{p.video_path}/",
    lambda p: f"https://www.tiktok.com/t/{p.short_code}/",
    lambda p: f"https://m.tiktok.com/v/{p.tiktok_id}.html?_r=1&_t=8rX",
    lambda p: f"https://www.tiktok.com{p.video_path}?utm_source=copy&share_app_id=1233",
    lambda p: f"  https://www.tiktok.com/embed/v2/{p.tiktok_id} ",
    lambda p: f"(https://www.tiktok.com{p.path})",
    lambda p: f"Check this out! https://vm.tiktok.com/{p.short_code}/ via TikTok",
)


def demo_rows(world: World) -> list[list[Cell]]:
    """The header and the rows: 60, and one more for each post beyond `DEMO_POSTS`.

    Raises:
        ValueError: the world has too few posts (`DEMO_POSTS` are enough).
    """
    posts = _first_posts(world)
    good = DEMO_ROWS - len(_OTHERS)
    if len(posts) < good + _SPARE_POSTS:
        raise ValueError(f"the demo's sheet needs a world of {DEMO_POSTS} posts")
    rows = list(islice(_good_rows(posts), good))
    for position, make in _OTHERS:
        rows.insert(position, make(world))
    further = [_row(post, 0, index) for index, post in enumerate(world.posts[DEMO_POSTS:])]
    return [[*HEADER], *rows, *further]


def _first_posts(world: World) -> list[FakePost]:
    showcase = [
        *world.carousels(35)[:1],
        *world.carousels(6)[:2],
        *world.carousels(1)[:2],
        *world.videos()[:4],
    ]
    known = {post.tiktok_id for post in showcase}
    rest = (p for p in world.posts[:DEMO_POSTS] if p.status == "available")
    return list(chain(showcase, (p for p in rest if p.tiktok_id not in known)))


def _good_rows(posts: list[FakePost]) -> Iterator[list[Cell]]:
    # The same post in two rows, by its short link and by its canonical URL: it is stored once, and
    # both rows are written back.
    yield _row(posts[1], 2, 90)
    for index, (post, form) in enumerate(zip(posts, cycle(range(len(_FORMS))))):
        yield _row(post, 0 if index == 1 else form, index)


def _row(post: FakePost, form: int, index: int, **cells: Cell) -> list[Cell]:
    posted = datetime.fromtimestamp(post.created, timezone.utc)
    named: dict[str, Cell] = {
        "date": posted.strftime("%Y-%m-%d"),
        "va": _VAS[index % len(_VAS)],
        "url": _FORMS[form](post),
        "creator": post.account.strip("@").split(".")[0].title(),
        "set_id": f"{index % 40 + 1:03}" if index % 3 else index % 40 + 1,
        "type": ("NEW", "new", "REPOST", "Repost ")[index % 4],
        "status": (READY, READY, "ready to scrape", " Ready To Scrape ")[index % 4],
        **cells,
    }
    notes = "check the caption" if index % 9 == 4 else ""
    return [*named.values(), *([""] * _WRITTEN_COLUMNS), notes]


def _changed(**cells: Cell) -> Callable[[World], list[Cell]]:
    return lambda world: _row(world.videos()[0], 0, 7, **{"status": READY, "type": "NEW", **cells})


def _unavailable(status: str) -> Callable[[World], list[Cell]]:
    return lambda world: _row(world.unavailable(status), 0, 3)


def _other_post(number: int, **cells: Cell) -> Callable[[World], list[Cell]]:
    return lambda world: _row(_spare(world)[number], 0, number, **cells)


def _spare(world: World) -> list[FakePost]:
    """Posts that no good row uses."""
    return _first_posts(world)[DEMO_ROWS - len(_OTHERS) :]


def _blank(_: World) -> list[Cell]:
    return [""] * len(HEADER)


def _written_back(world: World) -> list[Cell]:
    row = _other_post(0, status="Scraped")(world)
    row[8:14] = ["2026-01-05 02:03", 1204, 98, 4, 11, 0]
    return row


_WRAPPED = "https://www.google.com/url?q=https%3A%2F%2Fwww.tiktok.com%2F%40maya%2Fvideo%2F7412345678901234567"
_OTHERS: tuple[tuple[int, Callable[[World], list[Cell]]], ...] = (
    (4, _unavailable("deleted")),
    (7, _changed(url="see dm", va="Bea")),
    (10, _blank),
    (12, _written_back),
    (15, _unavailable("private")),
    (17, _changed(url="https://www.tiktok.com/@maya.reads_", va="Carlo")),
    (20, _other_post(1, set_id="twelve", status=READY)),
    (22, _other_post(2, status="Draft")),
    (25, _unavailable("geofenced")),
    (27, _changed(url="htp://www.tiktok.com/@maya/video/7412345678901234567")),
    (30, _blank),
    (31, _other_post(3, type="NEW POST", status=READY)),
    (34, _other_post(4, status="")),
    (37, _changed(url="https://www.instagram.com/p/C8x1abcDEFg/", va="Dina")),
    (40, _other_post(5, status="On hold")),
    (43, _changed(url="https://vm.tiktok.com/ZTdeadC0de/", va="Efren")),
    (44, _changed(url=_WRAPPED, va="Dina")),
    (46, _changed(url="", va="Grace", creator="Noor")),
    (49, _other_post(6, set_id="", type="?", status=READY)),
    (52, _other_post(7, status="posted, not yet")),
)
