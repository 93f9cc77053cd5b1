"""Why a slide could not be stored: one table of failure kinds, and which are worth a retry.

`transient` means only that the same request may succeed in a moment. An expired URL is not
transient: a retry cannot help, but fresh URLs from the post's page can. A post whose slides are not
all stored stays unfinished either way, so the next run tries every kind again. Failures that may be
the slide's own fault are counted, so that the attempts end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dagster_tiktok.net.retry import TransientError

FailureKind = Literal[
    "expired",
    "page_unavailable",
    "page_refused",
    "not_asked",
    "not_found",
    "forbidden_host",
    "unexpected_status",
    "network",
    "server_error",
    "rate_limited",
    "truncated",
    "not_an_image",
    "corrupt",
    "unsupported_type",
    "trailing_data",
    "too_large",
    "bomb",
    "disk_full",
    "cache_error",
    "storage_refused",
    "storage_unavailable",
]


@dataclass(frozen=True)
class Kind:
    """`message` comes before the detail.

    `transient`: the same request may succeed in a moment. `about_slide`: it may be the slide's own
    fault. Otherwise it is ours or the network's and does not count against the post.
    """

    transient: bool
    about_slide: bool
    message: str


def _transient(message: str, *, about_slide: bool = False) -> Kind:
    return Kind(transient=True, about_slide=about_slide, message=message)


def _permanent(message: str, *, about_slide: bool = True) -> Kind:
    return Kind(transient=False, about_slide=about_slide, message=message)


KINDS: dict[FailureKind, Kind] = {
    "expired": _permanent("The slide's URL has expired"),
    "page_unavailable": _permanent("The post's page has no fresh URL for the slide"),
    "page_refused": _permanent(
        "TikTok did not show the post's page, so the slide has no fresh URL",
        about_slide=False,
    ),
    "not_asked": _permanent("The slide was not requested", about_slide=False),
    "not_found": _permanent("The slide no longer exists"),
    "forbidden_host": _permanent("The slide's URL leads to a host that is not allowed"),
    "unexpected_status": _permanent("The CDN rejected the request for the slide"),
    "network": _transient("The CDN did not respond"),
    "server_error": _transient("The CDN returned an error"),
    "rate_limited": _transient("The CDN asked us to slow down"),
    "truncated": _transient("The slide is truncated", about_slide=True),
    "not_an_image": _transient("The CDN sent text instead of an image", about_slide=True),
    "corrupt": _transient("The slide's image is corrupt", about_slide=True),
    "unsupported_type": _permanent("The slide is not a JPEG, PNG, WebP, AVIF or GIF image"),
    "trailing_data": _permanent("The slide's file has other data after the image"),
    "too_large": _permanent("The slide's file is larger than allowed"),
    "bomb": _permanent("The slide would take too much memory or time to decode"),
    "disk_full": _transient("The disk of the slide cache is full"),
    "cache_error": _transient("The slide cache can't be used"),
    "storage_refused": _permanent("The bucket rejected the slide", about_slide=False),
    "storage_unavailable": _transient("The upload to the bucket failed"),
}


class SlideError(Exception):
    """One slide could not be stored. The other slides of its post are not affected."""

    def __init__(self, kind: FailureKind, detail: str = "") -> None:
        self.kind: FailureKind = kind
        self.detail = detail
        message = KINDS[kind].message
        super().__init__(f"{message}: {detail}" if detail else f"{message}.")

    @property
    def transient(self) -> bool:
        return KINDS[self.kind].transient


class SlideUrlExpiredError(SlideError):
    """`x-expires` has passed, or the mirrors returned 403: only fresh URLs can help."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("expired", detail)


class TransientSlideError(SlideError, TransientError):
    """A SlideError that `dagster_tiktok.net.retry` retries. Made by `slide_error`."""

    def __init__(
        self, kind: FailureKind, detail: str = "", *, retry_after: float | None = None
    ) -> None:
        SlideError.__init__(self, kind, detail)
        self.retry_after = retry_after


def slide_error(
    kind: FailureKind, detail: str = "", *, retry_after: float | None = None
) -> SlideError:
    """The exception for a failure kind.

    Arguments:
        retry_after: seconds that the server asked us to wait; only transient kinds keep it.
    """
    if kind == "expired":
        return SlideUrlExpiredError(detail)
    if KINDS[kind].transient:
        return TransientSlideError(kind, detail, retry_after=retry_after)
    return SlideError(kind, detail)
