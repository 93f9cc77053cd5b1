"""Calls the database's functions over Supabase's REST API.

Every call is one SQL function of `sql/migrations`. It is one transaction and may be sent again: a
repeated call changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any

from postgrest.exceptions import APIError
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from supabase import AsyncClient

from dagster_tiktok.database.service_states import ProjectUnavailableError, known_state
from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.errors import (
    ConfigurationError,
    ServiceUnavailableError,
    UnreachableServiceError,
)
from dagster_tiktok.settings import Settings

SCHEMA_VERSION = 18
"""The newest migration that this code needs."""


class DataRejectedError(ServiceUnavailableError):
    """The database works but rejects these values. It may accept others."""


class DatabaseClock(BaseModel):
    """The database's time, and today in the pipeline's time zone."""

    now: datetime
    today: date
    is_sandbox: bool = False
    """Whether its clock can be moved. Only a sandbox's can."""
    ahead_seconds: float = 0.0


class Database:
    """Calls functions. Get one from `open_database`, which checks the migrations."""

    def __init__(self, client: AsyncClient, timezone: str) -> None:
        self._client = client
        self._timezone = timezone
        self._clock: tuple[datetime, float] | None = None

    async def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Returns what the function returns. Arguments may be models, dates and ids.

        Raises:
            DataRejectedError: the database rejects these arguments.
            ServiceUnavailableError: the database does not respond, after all retries.
            ConfigurationError: the key is not accepted, or a migration is missing.
        """
        try:
            response = await self._client.rpc(function, {"p": _as_json(arguments)}).execute()
        except APIError as error:
            # Without its cause, which may quote the whole response: Dagster would store it.
            raise _translate_error(error, function) from None
        if not isinstance(response.data, dict):
            raise ServiceUnavailableError(
                f"SUPABASE_URL did not respond to {function} the way Supabase does."
            )
        return response.data

    async def clock(self) -> DatabaseClock:
        """Reads the database's clock, which decides the day. This machine's may be wrong."""
        response = await self.call("database_clock", timezone=self._timezone)
        clock = DatabaseClock.model_validate(response)
        self._clock = clock.now, time.monotonic()
        return clock

    def now(self) -> datetime:
        """The database's time, counted on from the last `clock`. Stored times come from here."""
        if self._clock is None:
            raise RuntimeError("the database's clock was not read")
        at, measured = self._clock
        return at + timedelta(seconds=time.monotonic() - measured)

    async def check_schema(self) -> None:
        """Raises ConfigurationError unless the database has every migration."""
        version = int((await self.call("schema_version"))["version"])
        if version < SCHEMA_VERSION:
            raise ConfigurationError(
                f"The database at SUPABASE_URL is at migration {version:03}, but this version "
                f"needs {SCHEMA_VERSION:03}: apply sql/migrations (supabase db push)."
            )


@asynccontextmanager
async def open_database(settings: Settings, *, starting: bool = False) -> AsyncIterator[Database]:
    """Opens the database of the settings and checks its migrations.

    Arguments:
        starting: this is the first contact with the database. A URL that can't be reached is then
            a wrong one (ConfigurationError) and not an outage.
    """
    async with open_supabase(settings) as client:
        database = Database(client, settings.pipeline_timezone)
        try:
            await database.check_schema()
        except UnreachableServiceError as error:
            if not starting:
                raise
            raise ConfigurationError(
                f"SUPABASE_URL ({settings.supabase_url}) cannot be reached: check the URL and "
                "that the project is not paused."
            ) from error
        yield database


def _as_json(value: Any) -> Any:
    """JSON values of models, dates and ids, without the characters that jsonb rejects."""
    return _without_rejected(to_jsonable_python(value))


def _without_rejected(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_rejected(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_rejected(item) for item in value]
    if isinstance(value, str):
        text = value.replace("\x00", "")
        return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
    return value


def _translate_error(
    error: APIError, function: str
) -> ConfigurationError | ServiceUnavailableError:
    code, message = str(error.code or ""), str(error.message or "")
    if known := known_state(int(code) if code == "402" else None, code=code, message=message):
        return ProjectUnavailableError(known)
    # The local Supabase gives only a text for some of these.
    missing = ("Could not find the function", "does not exist")
    rejected_key = ("permission denied", "API key", "JWT")
    if code in ("PGRST202", "42883", "42P01") or any(text in message for text in missing):
        return ConfigurationError(
            f"The database at SUPABASE_URL has no function {function}: apply sql/migrations "
            "(supabase db push)."
        )
    if code == "404":
        return ConfigurationError(
            "SUPABASE_URL is not the URL of a Supabase project: copy it from Project Settings."
        )
    denied = code in ("42501", "401", "403") or code.startswith("PGRST3")
    if denied or any(text in message for text in rejected_key):
        return ConfigurationError(
            "The database does not accept SUPABASE_KEY: use the project's secret (service_role) "
            "key."
        )
    text = f"The database rejected {function}: {message[:300]} ({code})"
    # Wrong values, and values that break a constraint.
    return (DataRejectedError if code[:2] in ("22", "23") else ServiceUnavailableError)(text)
