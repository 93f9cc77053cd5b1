"""A million mutated pages: each gives a valid record or a typed failure. Then time by size.

The pages are the sandbox's own, as they are served. Half of the mutations spoil a page's bytes,
half the JSON inside: values of other types, huge numbers, lists of null, deep nesting, what is
gone and what is doubled.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import cache, partial
from statistics import median
from typing import Any, TypeAlias

from benchmarks.measure import RUNS
from dagster_tiktok.models import Post
from dagster_tiktok.sandbox.tiktok.content.pages import PageWriter
from dagster_tiktok.sandbox.tiktok.content.slide_urls import SlideSigner
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.tiktok.failures import PostError
from dagster_tiktok.tiktok.pages.post_page import parse_post_page
from dagster_tiktok.tiktok.pages.scope import extract_scope

MUTATIONS = 1_000_000
SHARE = 5_000
"""Mutations of one task: each has its own chance, so that a failure can be had again."""
Span: TypeAlias = tuple[int, int]
SIZES_KB = (30, 100, 300, 1_000, 3_000, 5_000)
POSTS = 80
OPEN = b'<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__" type="application/json">'
CLOSE = b"</script>"
NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""In a JSON text; not where a backslash and the letters stand."""
NESTED = 5_000
_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of malloc.h: set by hand, it stays where it is."""
ODD = (
    "null", "true", "false", "0", "-1", "1.5", "1e308", "1e999", "NaN", "-Infinity",
    "2147483648", "-2147483648", "9007199254740993", "9223372036854775808", "9" * 400, "9" * 5_000,
    '""', '"0"', '"-1"', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', f'"{"9" * 5_000}"',
    f'"{"#" * 500}"', '"🤯#a"', '"https://["', f'"https://a/?x-expires={"9" * 99}"',
    '"https://www.tiktok.com@evil.example/"', '"javascript:0"', "[]", "{}", "[[]]", "[null]",
    f"[{'null,' * 300}null]", f"[{'{},' * 300}{{}}]", '{"":null}',
    "[" * NESTED + "]" * NESTED, '{"a":' * NESTED + "0" + "}" * NESTED, "[" * NESTED, "",
)  # fmt: skip
"""JSON in a value's place, and the last two, which are none."""


def main() -> None:
    started = time.perf_counter()
    processes = os.cpu_count() or 1
    outcomes: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for counted in pool.imap_unordered(mutate_and_parse, range(MUTATIONS // SHARE)):
            outcomes += counted
    seconds = time.perf_counter() - started
    print(
        f"{f'{outcomes.total():,} mutated pages':<44} {seconds:9.1f} s    "
        f"in {processes} processes; {1000 * processes * seconds / outcomes.total():.3f} ms each"
    )
    for outcome, count in outcomes.most_common():
        print(f"  {outcome:<42} {count:9,}")
    _time_by_size()
    _time_of_hostile_pages()


def mutate_and_parse(share: int) -> Counter[str]:
    """What became of SHARE mutations. Raises what the parser raised but should not have."""
    chance = random.Random(share)
    pages = real_pages(POSTS)
    texts = _texts_with_spans()
    outcomes: Counter[str] = Counter()
    for number in range(SHARE):
        if number % 50 == 0:
            post_id, page = chance.choice(pages)
            mutated = spoiled(page, chance)
        else:
            post_id, text, spans = chance.choice(texts)
            if number % 2:
                mutated = spoiled(OPEN + text.encode() + CLOSE, chance)
            else:
                mutated = OPEN + changed(text, spans, chance).encode() + CLOSE
        try:
            outcomes[outcome_of(mutated, post_id)] += 1
        except Exception as error:
            raise RuntimeError(f"share {share}, mutation {number}: {error!r}") from error
    return outcomes


def outcome_of(page: bytes, post_id: str) -> str:
    try:
        post = parse_post_page(page, expected_id=post_id, scraped_at=NOW)
    except PostError as error:
        return f"{type(error).__name__}: {error.kind.value}"
    stored = post.model_dump_json()
    if NUL.search(stored) or Post.model_validate_json(stored) != post:
        raise ValueError(f"a record that cannot be stored as it is: {stored[:1000]}")
    return f"record: {post.data_quality}"


def spoiled(page: bytes, chance: random.Random) -> bytes:
    """The page with a few bytes flipped, gone, doubled or put in."""
    broken = bytearray(page)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(broken) or 1)
        length = chance.choice((1, 2, 40, 5_000))
        how = chance.randrange(4)
        if how == 0:
            broken[at : at + 1] = bytes([chance.randrange(256)])
        elif how == 1:
            del broken[at : at + length]
        elif how == 2:
            broken[at:at] = broken[at : at + length]
        else:
            token = (
                b'"',
                b"{",
                b"]",
                b",",
                b"null",
                b"\\u0000",
                b"\\ud800",
                b"[" * 5_000,
                b"1e999",
            )
            broken[at:at] = chance.choice(token)
    return bytes(broken)


def changed(text: str, spans: Sequence[Span], chance: random.Random) -> str:
    """The JSON with up to four values replaced, wrapped, doubled, or of the other type."""
    chosen = sorted(chance.choice(spans) for _ in range(chance.randrange(1, 5)))
    pieces, at = [], 0
    for start, end in chosen:
        if start >= at:
            pieces += [text[at:start], _other(text[start:end], chance)]
            at = end
    return "".join((*pieces, text[at:]))


def _other(value: str, chance: random.Random) -> str:
    how = chance.randrange(8)
    if how == 0:
        return f"[{value}]"
    if how == 1:
        return f'{{"nested":{value}}}'
    if how == 2:
        return f"{value},{value}"
    if how == 3 and value[0] not in "[{":
        return value[1:-1] if value[0] == '"' else f'"{value}"'
    return chance.choice(ODD)


@cache
def real_pages(posts: int) -> list[tuple[str, bytes]]:
    """Pages of the sandbox: every kind of post and of refusal, desktop and mobile."""
    world = World(seed=7, posts=posts, now=NOW.timestamp())
    signer = SlideSigner(b"benchmark", 40 * 3600)
    writer = PageWriter(
        lambda slide: signer.make_urls("https://p16.tiktokcdn.com", slide.image_key),
        "https://v16.tiktok.com",
    )
    return [
        (post.tiktok_id, writer.post(post.tiktok_id, post, mobile=number % 4 == 3))
        for number, post in enumerate(world.posts)
    ]


@cache
def _texts_with_spans() -> list[tuple[str, str, list[Span]]]:
    return [(post_id, *_text_and_spans(_own_parts(page))) for post_id, page in real_pages(POSTS)]


def _own_parts(page: bytes) -> dict[str, Any]:
    """The page's data without what is the same in every page, and large."""
    scope = extract_scope(page)
    return {name: part for name, part in scope.items() if "detail" in name or "seo" in name}


def _text_and_spans(scope: dict[str, Any]) -> tuple[str, list[Span]]:
    """The data as JSON, and where in it each value stands."""
    pieces: list[str] = []
    spans: list[Span] = []
    length = 0

    def put(piece: str) -> None:
        nonlocal length
        pieces.append(piece)
        length += len(piece)

    def write(value: Any) -> None:
        start = length
        if isinstance(value, dict):
            for number, (name, part) in enumerate(value.items()):
                put(f"{',' if number else '{'}{json.dumps(name)}:")
                write(part)
            put("}" if value else "{}")
        elif isinstance(value, list):
            for number, part in enumerate(value):
                put("," if number else "[")
                write(part)
            put("]" if value else "[]")
        else:
            put(json.dumps(value).replace("<", "\\u003C"))
        spans.append((start, length))

    write({"__DEFAULT_SCOPE__": scope})
    return "".join(pieces), spans


def _time_by_size() -> None:
    """Medians of the time of a page, each size grown in two ways: around its data, and within."""
    for name, grow in (("around its data", _grown_around), ("within its data", _grown_within)):
        per_byte = {}
        for kilobytes in SIZES_KB:
            post_id, page = grow(kilobytes * 1000)
            took = _seconds_of(partial(parse_post_page, page, expected_id=post_id, scraped_at=NOW))
            per_byte[kilobytes] = took / len(page)
            print(f"a page of {kilobytes:,} KB, grown {name:<21} {1000 * took:12.3f} ms")
        print(f"{'':<44} {per_byte[5_000] / per_byte[300]:9.2f} of the time a byte at 300 KB")


def _time_of_hostile_pages() -> None:
    """Megabytes of what a parser may stumble over: each twice, to see that twice takes twice.

    A page is read up to 5 MB. The least of several times counts: other work on the machine only
    adds. The allocator must not keep the memory of one size and fetch that of the other anew, or
    twice the size takes ten times the time.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, 128 * 1024)
    name = b"__UNIVERSAL_DATA_FOR_REHYDRATION__"
    opening = b"<script id=" + name + b">"
    search = (b"<script " + name, b"<script x='" + name, name, b"<", b"<script", b'"')
    data = (b"[", b'{"a":', b"#", b"<", b'"\\', b"1", b'[{"id":0},')
    for where, units in (("before the data", search), ("as the data", data)):
        for unit in units:
            took = []
            for megabytes in (2, 4):
                content = unit * (megabytes * 1_000_000 // len(unit))
                page = content + OPEN + b"{}" if units is search else opening + content
                took.append(min(_times_of(partial(_ends, page + CLOSE))))
            print(
                f"{f'4 MB of {unit.decode()} {where}':<74} {1000 * took[1]:12.3f} ms   "
                f"{took[1] / took[0]:6.2f} times what 2 MB take"
            )


def _ends(page: bytes) -> None:
    with contextlib.suppress(PostError):
        parse_post_page(page, expected_id="1", scraped_at=NOW)


def _seconds_of(work: Callable[[], object]) -> float:
    return median(_times_of(work))


def _times_of(work: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(RUNS * 3):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return took


def _smallest() -> tuple[str, Any]:
    post_id, page = real_pages(1)[0]
    scope = extract_scope(page)
    return post_id, {name: part for name, part in scope.items() if "detail" in name}


def _grown_around(size: int) -> tuple[str, bytes]:
    """Other scripts stand before and after the data, as the site's translations do."""
    post_id, scope = _smallest()
    data = OPEN + json.dumps({"__DEFAULT_SCOPE__": scope}).encode() + CLOSE
    unit = b'<script>{"captcha_drag":"Drag the slider","video_unavailable":"gone"}</script>'
    filler = unit * ((size - len(data)) // 2 // len(unit))
    return post_id, filler + data + filler


def _grown_within(size: int) -> tuple[str, bytes]:
    """Parts of the data that are not read, and lists that are, grow with the page."""
    post_id, scope = _smallest()
    detail = next(part for name, part in scope.items() if "detail" in name)
    item = detail["itemInfo"]["itemStruct"]
    extra = {"type": 1, "hashtagName": "tag", "start": 0, "end": 4, "more": "x" * 40}
    grown = (size - len(json.dumps(scope))) // len(json.dumps(extra)) // 2
    item["textExtra"] = [extra] * max(0, grown)
    scope["webapp.other"] = {"unread": [extra] * max(0, grown)}
    return post_id, OPEN + json.dumps({"__DEFAULT_SCOPE__": scope}).encode() + CLOSE


if __name__ == "__main__":
    main()
