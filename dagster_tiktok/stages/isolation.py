"""Isolates the sheets from each other: if one fails, the others are still processed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError, UnexpectedError

Errors = dict[str, ConfigurationError | ServiceUnavailableError]


@contextmanager
def collect_failure(name: str, errors: Errors, log: logging.Logger, message: str) -> Iterator[None]:
    """Puts the error that ends the block into `errors`, under the sheet's name.

    An unexpected exception is logged with its traceback.

    Arguments:
        message: what failed, for the log: `sheet_rows: … cannot be read`.
    """
    try:
        yield
    except (ConfigurationError, ServiceUnavailableError) as error:
        # With several sheets, the sheet's name already contains the variable's name.
        named = "GOOGLE_SHEET_URL" in name
        text = str(error).removeprefix("GOOGLE_SHEET_URL: ") if named else str(error)
        log.warning("%s: %s", message, text)
        errors[name] = error
    except Exception as error:
        log.exception("%s", message)
        errors[name] = UnexpectedError(error)
