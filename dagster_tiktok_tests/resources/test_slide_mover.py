from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dagster_tiktok.clock import utc_now
from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.resources.slide_mover import SlideMoverResource
from dagster_tiktok.slides.mover import SlideMover

ENVIRONMENT = """
SUPABASE_URL=http://127.0.0.1:9
SUPABASE_KEY=sb_secret_of_nothing
GOOGLE_SHEETS_CREDENTIALS={{}}
GOOGLE_SHEET_URL=https://docs.google.com/spreadsheets/d/0123456789/edit
SLIDE_CACHE_DIR={cache}
SLIDE_MIN_FREE_MB={min_free_mb}
"""


def resource_of(folder: Path, *, min_free_mb: int = 0) -> SlideMoverResource:
    env_file = folder / ".env"
    env_file.write_text(ENVIRONMENT.format(cache=folder / "cache", min_free_mb=min_free_mb))
    return SlideMoverResource(settings=SettingsResource(env_file=str(env_file)))


def test_an_opened_mover_has_its_cache_ready(tmp_path: Path) -> None:
    async def run() -> None:
        async with resource_of(tmp_path).open(now=utc_now) as mover:
            assert isinstance(mover, SlideMover)
            assert (tmp_path / "cache").is_dir()

    asyncio.run(run())


def test_too_little_free_disk_is_reported_by_variable(tmp_path: Path) -> None:
    async def run() -> None:
        async with resource_of(tmp_path, min_free_mb=10**9).open(now=utc_now):
            raise AssertionError("it must not open")

    with pytest.raises(ConfigurationError, match="SLIDE_MIN_FREE_MB"):
        asyncio.run(run())
