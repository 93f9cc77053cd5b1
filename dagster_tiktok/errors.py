"""The errors that end a stage. What ends a single unit is in `tiktok.failures`."""

from __future__ import annotations

from dagster_tiktok.redaction import told


class ConfigurationError(Exception):
    """A setting is wrong: nothing will work until a person changes it.

    The message is one sentence that names the variable, says what is wrong and what to do.
    It never holds the value of a secret.
    """


class ServiceUnavailableError(Exception):
    """A service that every unit needs did not answer, after all retries.

    Going on is pointless now; a later run finishes the work.
    """


class UnexpectedError(ServiceUnavailableError):
    """A fault of the program met one sheet or one check, and must not hold up the others."""

    def __init__(self, error: Exception) -> None:
        said = told(str(error))
        super().__init__(
            f"an unexpected {type(error).__name__}{f' ({said})' if said else ''}: this is a fault "
            "of the program; the log shows where, please report it."
        )


class UnreachableServiceError(ServiceUnavailableError):
    """No connection at all: at a run's start the address is wrong, later the service is down."""
