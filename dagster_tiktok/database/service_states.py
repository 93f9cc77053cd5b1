"""How hosted Supabase reports that a whole project is unavailable, and what fixes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dagster_tiktok.errors import ServiceUnavailableError

READ_ONLY = "25006"
"""SQLSTATE `read_only_sql_transaction`: Supabase turns it on for a database whose disk is full."""
_READ_ONLY_TEXT = "in a read-only transaction"
_DISK_FULL = "53100"
_DISK_FULL_TEXT = "No space left on device"

# SQLSTATE classes: connection (08), deadlock and serialization (40), resources, such as too many
# connections (53), time limit, shutdown and recovery (57). PostgREST's own: no connection to the
# database, no schema cache yet, its pool is exhausted.
_TRANSIENT_CODES = re.compile(r"(08|40|53|57)[0-9A-Z]{3}\Z|PGRST00[0-3]\Z")
_ABOUT_VALUES = re.compile(r"(22|23|P0)[0-9A-Z]{3}\Z")
# Storage gives the name in `error` or `code`, often with the status 400.
_TRANSIENT_NAMES = frozenset(
    {
        "DatabaseTimeout",
        "SlowDown",
        "LockTimeout",
        "AcquireLockTimeout",
        "ResourceLocked",
        "TooManyRequests",
    }
)
# From the pooler and PostgreSQL, passed on under the code that the service has for "other".
_TRANSIENT_TEXTS = re.compile(
    r"max client(s|( connections))? reached|MaxClientsInSessionMode|too many (clients|connections)"
    r"|connection slots are reserved|Timeout acquiring a connection|connection pool"
    r"|Missing tenant config|Tenant config for \S+ not found|Tenant not found",
    re.IGNORECASE,
)


class ProjectUnavailableError(ServiceUnavailableError):
    """The project rejects every call until an operator acts: no slide and no post is at fault."""


def known_state(status: int | None = None, *, code: str = "", message: str = "") -> str | None:
    """Returns the state and how to fix it, or None if the response shows no known state.

    Arguments:
        status: of HTTP, or what a storage error's body gives in its place.
        code: of the error in the body, an SQLSTATE.
        message: of the error in the body; the storage gives no SQLSTATE.
    """
    if status == 402:
        return (
            "Supabase rejects every call until a bill is paid or a quota is raised (402): open "
            "Organization Settings, Billing and Usage. Nothing is lost, the next run continues."
        )
    if status == 540:
        return (
            "The Supabase project is paused (540): open the project in the dashboard and restore "
            "it. Nothing is lost, the next run continues."
        )
    full = code == _DISK_FULL or _DISK_FULL_TEXT in message
    if full or code == READ_ONLY or _READ_ONLY_TEXT in message:
        return (
            "The database is read-only because its disk is full, or because a free project holds "
            f"more than 500 MB ({_DISK_FULL if full else READ_ONLY}): free space or enlarge the "
            "disk (Project Settings, Compute and Disk), or choose a larger plan. Nothing is lost, "
            "the next run continues."
        )
    return None


def is_transient_error(body: Mapping[str, Any]) -> bool:
    """Whether the error is transient, whatever its status.

    Arguments:
        body: the error's JSON body; empty if it has none.
    """
    code, error = str(body.get("code")), str(body.get("error"))
    if _TRANSIENT_CODES.match(code) or {code, error} & _TRANSIENT_NAMES:
        return True
    # PostgreSQL's messages about values may quote them, so they may contain any text.
    text = "" if _ABOUT_VALUES.match(code) else f"{error} {body.get('message')}"
    return _TRANSIENT_TEXTS.search(text) is not None
