"""The whole system on one screen: assets, checks, automation, and the resources they use.

    sheet_rows -> scraped_posts -> slide_files -> tiktok_posts  -> sheet_status -> scraping_logs
                                              \\-> tiktok_slides /

`build_definitions(**overrides)` is the one seam: tests and the sandbox pass other resources.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from dagster_tiktok.assets.posts_and_slides import posts_and_slides
from dagster_tiktok.assets.scraped_posts import scraped_posts
from dagster_tiktok.assets.scraping_logs import scraping_logs
from dagster_tiktok.assets.sheet_rows import sheet_rows
from dagster_tiktok.assets.sheet_status import sheet_status
from dagster_tiktok.assets.slide_files import slide_files
from dagster_tiktok.automation import JOBS, SCHEDULES, SENSORS
from dagster_tiktok.checks import CHECKS
from dagster_tiktok.resources.alerts import AlertResource
from dagster_tiktok.resources.ledger import LedgerResource
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.sheet import SheetResource
from dagster_tiktok.resources.slide_mover import SlideMoverResource
from dagster_tiktok.resources.tiktok import TikTokResource

ASSETS = [sheet_rows, scraped_posts, slide_files, posts_and_slides, sheet_status, scraping_logs]


def build_definitions(settings: SettingsResource | None = None, **overrides: Any) -> dg.Definitions:
    """Everything Dagster needs.

    Arguments:
        settings: where the configuration is read from; the environment and `.env` by default.
        overrides: resources by name, in place of the ones built here.
    """
    settings = settings or SettingsResource()
    resources: dict[str, Any] = {
        "settings": settings,
        "sheet": SheetResource(settings=settings),
        "tiktok": TikTokResource(settings=settings),
        "slide_store": SlideMoverResource(settings=settings),
        "database": LedgerResource(settings=settings),
        "alerts": AlertResource(settings=settings),
    }
    if unknown := overrides.keys() - resources.keys():
        raise TypeError(f"no such resource: {', '.join(sorted(unknown))}")
    return dg.Definitions(
        assets=ASSETS,
        asset_checks=CHECKS,
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources={**resources, **overrides},
        # Steps run in one process; the concurrency is async, inside a stage.
        executor=dg.in_process_executor,
    )


defs = build_definitions()
