"""What Google's servers may do to us: a response of a limited size and time, and no redirects."""

from __future__ import annotations

import io
import time
from typing import Any

import requests
from urllib3.exceptions import HTTPError

MAX_SHEET_BYTES = 64 * 2**20
"""Of a response, unpacked. 45,000 rows of 15 cells are 8 MB; packed, 64 MB may be 100 kB."""

MAX_TOKEN_BYTES = 64 * 2**10
"""A token's response is about 1 kB."""

MAX_RESPONSE_SECONDS = 180.0
"""Of one response. Google itself cuts a call off then; a timeout alone never ends a slow drip."""

_PIECE_BYTES = 2**16


class UnexpectedResponseError(requests.RequestException):
    """A response that is not accepted. The message quotes nothing of it."""


class ResponseTooLargeError(UnexpectedResponseError):
    """A response of more bytes than are taken."""


class BoundedSession(requests.Session):
    """Reads every response whole, within its limits, and follows no redirect.

    A redirect would send the signed assertion, or the sheet's cells, wherever it points.
    """

    def __init__(
        self, *args: Any, who: str, max_bytes: int, max_seconds: float, **kwargs: Any
    ) -> None:
        """`who` responds, as in "Google Sheets"; `max_bytes` counts what is unpacked."""
        super().__init__(*args, **kwargs)
        self._who, self._max_bytes, self._max_seconds = who, max_bytes, max_seconds

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Raises UnexpectedResponseError for a response too large, too slow, or from elsewhere."""
        deadline = time.monotonic() + self._max_seconds
        response = super().send(request, **{**kwargs, "stream": True})
        try:
            if response.is_redirect:
                raise UnexpectedResponseError(
                    f"{self._who} returned {response.status_code}, which is not expected."
                )
            body = self._body(response, deadline)
        except BaseException:
            response.close()
            raise
        response.raw = io.BytesIO(body)
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests follows nothing, and reads nothing without our limits."""

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            # Not iter_content: it returns only when a whole piece has come, so a drip holds it.
            while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
                size += len(piece)
                if size > self._max_bytes:
                    raise ResponseTooLargeError(
                        f"{self._who} returned more than {self._max_bytes:,} bytes."
                    )
                if time.monotonic() > deadline:
                    raise UnexpectedResponseError(
                        f"{self._who} responded too slowly: it took more than "
                        f"{self._max_seconds:g} seconds."
                    )
                pieces.append(piece)
        except HTTPError as error:
            raise requests.ConnectionError(error) from error
        return b"".join(pieces)
