"""Work on several sheets of which one may fail: the others are worked on all the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError, UnexpectedError

Errors = dict[str, ConfigurationError | ServiceUnavailableError]


@contextmanager
def collect_failure(name: str, errors: Errors, log: logging.Logger, told: str) -> Iterator[None]:
    """What the block raises goes into `errors` under the sheet's name, and ends the block only.

    Also what nobody foresaw, which is logged with where it came from.

    Arguments:
        told: what cannot be done, for the log: `sheet_rows: … cannot be read`.
    """
    try:
        yield
    except (ConfigurationError, ServiceUnavailableError) as error:
        # The sheet's name names the variable already, where there are several.
        named = "GOOGLE_SHEET_URL" in name
        text = str(error).removeprefix("GOOGLE_SHEET_URL: ") if named else str(error)
        log.warning("%s: %s", told, text)
        errors[name] = error
    except Exception as error:
        log.exception("%s", told)
        errors[name] = UnexpectedError(error)
