"""The errors that end a stage, and the tree of all exceptions of the package.

Those that end one unit or one slide are in `tiktok.failures` and `slides.failures`. Each is shown
under its first base, with its module. A test holds the tree up to date.

    Exception
      ApiError                      sandbox.sheets.api
      BackupError                   backup.manifest
      BodyTooLargeError             net.bounded_bodies
      ConfigurationError            errors
        ProtectedError              sheet.api.errors
        UnknownRangeError           sheet.api.errors
      DecompressionBombError        slides.images.containers
      ForbiddenHostError            net.hosts
      PostError                     tiktok.failures
        PostUnavailableError        tiktok.failures
        PostUnreadableError         tiktok.failures
      ProgramFailedError            backup.database
      RunInterruptedError           cli.run
      SandboxError                  sandbox.supabase_lite.node_packages
      ServiceUnavailableError       errors
        DataRejectedError           database.functions
        ProjectUnavailableError     database.service_states
        TikTokRejectionError        tiktok.breaker
        TooLargeError               sheet.api.errors
        UnexpectedError             errors
        UnreachableServiceError     errors
      SlideError                    slides.failures
        SlideUrlExpiredError        slides.failures
        TransientSlideError         slides.failures
      TokenError                    sandbox.sheets.service_account
      TransientError                net.retry
        ResponseLostError           sheet.api.errors
        UnreachableError            sheet.api.errors
        _TransientResponseError     tiktok.transport
        _UnavailableError           database.supabase
      _UnknownFunctionError         sandbox.sheets.formulas
    ValueError
      CellError                     sandbox.sheets.book
      DateError                     sheet.read.dates
      EditError                     sandbox.sheets.edits
      FieldsError                   sandbox.sheets.fields
      PostUrlError                  tiktok.links.post_refs
      RangeError                    sandbox.sheets.a1
    ClientConnectionError
      ConnectionLostError           net.rate_limit
    RequestException
      UnexpectedResponseError       sheet.api.bounded_session
        ResponseTooLargeError       sheet.api.bounded_session
"""

from __future__ import annotations

from dagster_tiktok.redaction import told


class ConfigurationError(Exception):
    """A setting is wrong: nothing will work until an operator changes it.

    The message names the variable, says what is wrong and what to do. It never contains the value
    of a secret.
    """


class ServiceUnavailableError(Exception):
    """A service that every unit needs did not respond, after all retries.

    The stage ends; a later run finishes the work.
    """


class UnexpectedError(ServiceUnavailableError):
    """A bug in this program. It ends one sheet or one check, and the others continue."""

    def __init__(self, error: Exception) -> None:
        detail = told(str(error))
        super().__init__(
            f"an unexpected {type(error).__name__}{f' ({detail})' if detail else ''}: this is a "
            "bug. The log has the traceback; please report it."
        )


class UnreachableServiceError(ServiceUnavailableError):
    """No connection: at the start of a run the URL is wrong, later the service is down."""
