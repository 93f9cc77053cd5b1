"""Reading a post's page, against only finding and decoding the JSON in it."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone

from benchmarks.measure import compare
from dagster_tiktok.sandbox.tiktok.content.pages import PageWriter
from dagster_tiktok.sandbox.tiktok.content.slide_urls import SlideSigner
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.tiktok.pages.post_page import parse_post_page

PAGES = 100


def main() -> None:
    world = World(seed=7, posts=200)
    posts = [post for post in world.posts if post.status == "available"][:PAGES]
    signer = SlideSigner(b"benchmark", 40 * 3600)
    writer = PageWriter(
        lambda slide: signer.make_urls("https://p16.tiktokcdn.com", slide.image_key),
        "https://v16.tiktok.com",
    )
    pages = [(post.tiktok_id, writer.post(post.tiktok_id, post)) for post in posts]
    now = datetime.now(timezone.utc)
    size = sum(len(page) for _, page in pages) / len(pages) / 1000

    def parse() -> None:
        for tiktok_id, page in pages:
            parse_post_page(page, expected_id=tiktok_id, scraped_at=now)

    def decode() -> None:
        for _, page in pages:
            start = page.index(b"__UNIVERSAL_DATA_FOR_REHYDRATION__")
            start = page.index(b">", start) + 1
            json.loads(page[start : page.index(b"</script>", start)])

    compare(f"parse a page of {size:.0f} KB", parse, "bare json.loads", decode, per=len(pages))
    started = time.process_time()
    parse()
    took = (time.process_time() - started) / len(pages)
    print(f"{'  of the processor':<44} {1000 * took:9.3f} ms")
