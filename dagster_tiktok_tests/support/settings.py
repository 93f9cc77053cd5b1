"""Settings of a run whose services cannot be reached, except those that a test names."""

from __future__ import annotations

from typing import Any

from dagster_tiktok.settings import Settings, load_settings

ENVIRONMENT = {
    "SUPABASE_URL": "http://127.0.0.1:1",
    "SUPABASE_KEY": "sb_secret_test",
    "GOOGLE_SHEETS_CREDENTIALS": "{}",
    "GOOGLE_SHEET_URL": "https://docs.google.com/spreadsheets/d/0123456789abc/edit",
}


def build_settings(**changes: Any) -> Settings:
    required = {name.lower(): value for name, value in ENVIRONMENT.items()}
    return load_settings(None, **{**required, **changes})


def tiktok_settings(url: str, **changes: Any) -> Settings:
    """With TikTok at `url`, and no rate limit."""
    return build_settings(**{"tiktok_base_url": url, "tiktok_requests_per_second": 0, **changes})
