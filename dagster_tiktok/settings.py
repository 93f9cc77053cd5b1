"""Configuration: the one place that reads the environment.

The names are the public contract (see `.env.example`). A `.env` file is read as well; real
variables win. Every problem becomes a `ConfigurationError` whose message names the variable.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.sheet.read.headers import parse_columns
from dagster_tiktok.sheet.urls import SheetUrl, parse_sheet_urls

TIKTOK_CDN_HOSTS = ("tiktokcdn.com", "tiktokcdn-us.com", "tiktokcdn-eu.com")
DESKTOP_USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
_SECRET_KEY = re.compile(r"sb_secret_[A-Za-z0-9_-]+")
_MAX_USER_AGENT_CHARACTERS = 1000
_LEAST_RATE = 0.001
"""One request in 17 minutes. A lower rate is a typing error, and a run would never end."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")


def _is_timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be a time zone such as Europe/Berlin") from error
    return value


def _http_origin(value: str) -> None:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or not value.isprintable():
        raise ValueError("must be a URL such as https://example.com")


class Settings(BaseSettings):
    """All settings of the pipeline, validated. Build it with `load_settings`."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True)

    supabase_url: str
    supabase_key: SecretStr
    supabase_bucket: str = "tiktok-slides"

    google_sheets_credentials: SecretStr
    google_sheet_url: str
    google_sheet_columns: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    google_sheets_api_url: str = "https://sheets.googleapis.com"

    tiktok_base_url: str = "https://www.tiktok.com"
    tiktok_requests_per_second: float = Field(1.0, ge=0, allow_inf_nan=False)
    tiktok_max_concurrency: int = Field(4, ge=1, le=64)
    tiktok_user_agent: str = DESKTOP_USER_AGENT
    tiktok_fallback: Literal["gallery-dl"] | None = None

    slide_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = TIKTOK_CDN_HOSTS
    slide_max_concurrent_downloads: int = Field(5, ge=1, le=64)
    slide_requests_per_second: float = Field(0.0, ge=0, allow_inf_nan=False)
    slide_cache_dir: Path = Path(".cache/slides")
    slide_cache_max_mb: int = Field(1024, ge=1)
    slide_min_free_mb: int = Field(512, ge=0)
    slide_max_mb: int = Field(20, ge=1, le=100)

    pipeline_timezone: str = "UTC"
    pipeline_min_success_rate: float = Field(0.95, ge=0, le=1)
    pipeline_max_posts_per_run: int = Field(2000, ge=1)

    alert_webhook_url: SecretStr | None = None

    @field_validator("supabase_url", "google_sheets_api_url", "tiktok_base_url")
    @classmethod
    def _is_http_origin(cls, value: str) -> str:
        _http_origin(value)
        return value.rstrip("/")

    @field_validator("supabase_key")
    @classmethod
    def _is_secret_key(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value().strip()
        if problem := _key_problem(key):
            raise ValueError(problem)
        return SecretStr(key)

    @field_validator("alert_webhook_url")
    @classmethod
    def _is_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _http_origin(value.get_secret_value())
        return value

    @field_validator("tiktok_user_agent")
    @classmethod
    def _is_header_value(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable() and value.strip()):
            raise ValueError("must be plain text on one line")
        if len(value) > _MAX_USER_AGENT_CHARACTERS:
            raise ValueError(f"must have at most {_MAX_USER_AGENT_CHARACTERS} characters")
        return value

    @field_validator("tiktok_requests_per_second", "slide_requests_per_second")
    @classmethod
    def _is_rate(cls, value: float) -> float:
        if 0 < value < _LEAST_RATE:
            raise ValueError(f"must be 0 (no limit) or at least {_LEAST_RATE}")
        return value

    @field_validator("google_sheet_url")
    @classmethod
    def _are_sheet_urls(cls, value: str) -> str:
        parse_sheet_urls(value)
        return value

    @field_validator("google_sheet_columns", mode="before")
    @classmethod
    def _split_columns(cls, value: Any) -> Any:
        return parse_columns(value) if isinstance(value, str) else value

    @field_validator("slide_allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = tuple(host.strip().lower() for host in value.split(",") if host.strip())
        if not value:
            raise ValueError("must name at least one host")
        return value

    _check_timezone = field_validator("pipeline_timezone")(_is_timezone)

    @property
    def sheets(self) -> tuple[SheetUrl, ...]:
        """The tabs that are read and answered, in the order of the setting."""
        return parse_sheet_urls(self.google_sheet_url)

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.pipeline_timezone)

    @property
    def unreadable_pages_dir(self) -> Path:
        """Where the data of pages that the parser did not understand is kept."""
        return self.slide_cache_dir.parent / "unreadable-pages"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that no message may contain: see `redaction`."""
        account = self.google_sheets_credentials.get_secret_value()
        webhook = self.alert_webhook_url
        return (
            self.supabase_key.get_secret_value(),
            *([webhook.get_secret_value()] if webhook else []),
            *_account_secrets(account),
        )

    def today(self) -> date:
        """Today's date in the pipeline's time zone: the key of the partition that is due."""
        return datetime.now(self.timezone).date()


class DefinitionSettings(BaseSettings):
    """The time zone, which Dagster needs when it loads the code.

    Separate, so that the definitions load (and can be validated) without credentials.
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True)

    pipeline_timezone: str = "UTC"

    _check_timezone = field_validator("pipeline_timezone")(_is_timezone)


class BackupSettings(BaseSettings):
    """The settings of backups. Separate, because a machine that only backs up needs no others."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True)

    supabase_db_url: SecretStr | None = None


def load_settings(env_file: str | Path | None = ".env", **overrides: Any) -> Settings:
    """Reads the environment and `env_file` (real variables win).

    Arguments:
        env_file: a file of `NAME=value` lines; ignored if it does not exist.
        overrides: settings by field name that win over both (`pipeline_max_posts_per_run=50`).

    Raises:
        ConfigurationError: naming every variable that is missing or wrong.
    """
    try:
        return Settings(_env_file=env_file, **overrides)
    except ValidationError as error:
        raise ConfigurationError(_describe(error)) from None


def load_definition_settings(env_file: str | Path | None = ".env") -> DefinitionSettings:
    """Reads the settings of the definitions. Raises ConfigurationError like `load_settings`."""
    try:
        return DefinitionSettings(_env_file=env_file)
    except ValidationError as error:
        raise ConfigurationError(_describe(error)) from None


def _describe(error: ValidationError) -> str:
    # Only names and reasons, because pydantic's own text repeats the input: maybe a secret.
    problems, missing = [], False
    for item in error.errors(include_input=False, include_url=False):
        name = str(item["loc"][0]).upper() if item["loc"] else "environment"
        missing = missing or item["type"] == "missing"
        problems.append(f"{name} {_reason(item['type'], item['msg'], item.get('ctx', {}))}")
    do = "set" if missing else "correct"
    return f"{'; '.join(problems)}: {do} it in the environment or in .env (see .env.example)."


def _reason(kind: str, message: str, context: Mapping[str, Any]) -> str:
    """pydantic's problem in words for the user who sets the variable."""
    words = {
        "missing": "is not set",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "finite_number": "must be a number",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "literal_error": f"must be {str(context.get('expected')).replace(chr(39), '')} or not set",
    }
    reason = message.removeprefix("Value error, ")
    return words.get(kind, f"{reason[:1].lower()}{reason[1:]}")


def _account_secrets(setting: str) -> tuple[str, ...]:
    """The secrets of a service account that is set as JSON; a path is not secret."""
    if not setting.lstrip().startswith("{"):
        return ()
    try:
        key = json.loads(setting).get("private_key")
    except ValueError:
        return (setting,)
    return (setting, key) if isinstance(key, str) else (setting,)


def _key_problem(key: str) -> str | None:
    """Why `key` cannot write, or None. Looks only at the key's format, not at the network."""
    publishable = (
        "is a publishable key, which row level security keeps from writing; "
        "use the secret (service_role) key of Project Settings > API keys"
    )
    if key.startswith("sb_publishable_"):
        return publishable
    if _SECRET_KEY.fullmatch(key):
        return None
    role = _jwt_role(key)
    if role == "service_role":
        return None
    if role in ("anon", "authenticated"):
        return publishable
    return (
        "is not a Supabase key; use the secret key (sb_secret_…, or the older service_role token)"
    )


def _jwt_role(token: str) -> str | None:
    if not _TOKEN.fullmatch(token):
        return None
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    role = claims.get("role") if isinstance(claims, dict) else None
    return role if isinstance(role, str) else None
