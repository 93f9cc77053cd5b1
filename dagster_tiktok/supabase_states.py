"""What hosted Supabase says when a project as a whole is not to be had, and what cures it."""

from __future__ import annotations

from dagster_tiktok.errors import ServiceUnavailable

READ_ONLY = "25006"
"""SQLSTATE `read_only_sql_transaction`: Supabase turns it on for a database whose disk is full."""
_READ_ONLY_TEXT = "in a read-only transaction"


class ProjectUnavailable(ServiceUnavailable):
    """The project takes nothing until somebody acts: no slide and no post is to blame."""


def known_state(status: int | None = None, *, code: str = "", message: str = "") -> str | None:
    """The state with its cure, or None for a response that tells of none.

    Arguments:
        status: of HTTP, or what a storage error's body gives in its place.
        code: of the error in the body, an SQLSTATE.
        message: of the error in the body; the storage gives no SQLSTATE.
    """
    if status == 402:
        return (
            "Supabase refuses every call until a bill is paid or a quota is raised (402): open "
            "Organization Settings, Billing and Usage. Nothing is lost, the next run continues."
        )
    if status == 540:
        return (
            "The Supabase project is paused (540): open the project in the dashboard and restore "
            "it. Nothing is lost, the next run continues."
        )
    if code == READ_ONLY or _READ_ONLY_TEXT in message:
        return (
            "The database is read-only because its disk is full, or because a free project holds "
            "more than 500 MB (25006): free space or enlarge the disk (Project Settings, Compute "
            "and Disk), or choose a larger plan. Nothing is lost, the next run continues."
        )
    return None
