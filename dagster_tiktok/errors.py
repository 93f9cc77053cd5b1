"""The errors that end a stage. What ends a single unit is in `tiktok.failures`."""

from __future__ import annotations


class ConfigurationError(Exception):
    """A setting is wrong: nothing will work until a person changes it.

    The message is one sentence that names the variable, says what is wrong and what to do.
    It never holds the value of a secret.
    """


class ServiceUnavailable(Exception):
    """A service that every unit needs did not answer, after all retries.

    Going on is pointless now; a later run finishes the work.
    """


class Unreachable(ServiceUnavailable):
    """No connection at all: at a run's start the address is wrong, later the service is down."""
