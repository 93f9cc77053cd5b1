from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_tiktok.sandbox.serve import CLOCK, MARK, MIGRATIONS
from dagster_tiktok.sandbox.supabase_lite.server import SupabaseServer
from dagster_tiktok.settings import Settings, load_settings

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="session")
def supabase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupabaseServer]:
    server = SupabaseServer(tmp_path_factory.mktemp("supabase"), MIGRATIONS, also=[MARK, CLOCK])
    asyncio.run(server.start())
    yield server
    asyncio.run(server.close())


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    """Settings of a run whose services are not there, but for what the test names."""

    def make(**overrides: Any) -> Settings:
        values: dict[str, Any] = {
            "supabase_url": "http://127.0.0.1:9",
            "supabase_key": "sb_secret_of_nothing",
            "google_sheets_credentials": "{}",
            "google_sheet_url": "https://docs.google.com/spreadsheets/d/0123456789/edit#gid=0",
            "slide_cache_dir": tmp_path / "cache",
            "slide_min_free_mb": 0,
            **overrides,
        }
        return load_settings(None, **values)

    return make
