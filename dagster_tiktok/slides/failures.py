"""Why a slide did not arrive: one table of kinds, with what is worth another try.

`transient` means that the same request may succeed in a moment, and only that: an expired
address is not transient, because asking again cannot help, but fresh addresses from the post's
page can. A post whose slides are not all stored stays open either way, so the next run tries
every kind again; what may be the slide's own fault is counted, so that there is an end to it.
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
    """`sentence` is what a person reads, before the detail.

    `transient`: the same request may succeed in a moment. `about_slide`: it may be the slide's own
    fault; else it is ours or the network's, and must not be counted against its post.
    """

    transient: bool
    about_slide: bool
    sentence: str


def _for_now(sentence: str, *, about_slide: bool = False) -> Kind:
    return Kind(transient=True, about_slide=about_slide, sentence=sentence)


def _lasting(sentence: str, *, about_slide: bool = True) -> Kind:
    return Kind(transient=False, about_slide=about_slide, sentence=sentence)


KINDS: dict[FailureKind, Kind] = {
    "expired": _lasting("The address of the slide has expired"),
    "page_unavailable": _lasting("The post's page gave no fresh address for the slide"),
    "page_refused": _lasting(
        "TikTok did not show the post's page, which has fresh addresses of the slide",
        about_slide=False,
    ),
    "not_asked": _lasting("The slide was not asked for", about_slide=False),
    "not_found": _lasting("The slide is not there any more"),
    "forbidden_host": _lasting("The address of the slide leads to a host that is not allowed"),
    "unexpected_status": _lasting("The server refused the slide"),
    "network": _for_now("The server of the slide did not answer"),
    "server_error": _for_now("The server of the slide answered with an error"),
    "rate_limited": _for_now("The server of the slide asked us to slow down"),
    "truncated": _for_now("The slide was cut off", about_slide=True),
    "not_an_image": _for_now("The server sent a text instead of the slide", about_slide=True),
    "corrupt": _for_now("The slide's picture is damaged", about_slide=True),
    "unsupported_type": _lasting("The slide is not a JPEG, PNG, WebP, AVIF or GIF picture"),
    "trailing_data": _lasting("The slide's file holds something else behind the picture"),
    "too_large": _lasting("The slide's file is larger than allowed"),
    "bomb": _lasting("The slide would take too much to decode"),
    "disk_full": _for_now("The disk of the slide cache is full"),
    "cache_error": _for_now("The slide cache can't be used"),
    "storage_refused": _lasting("The bucket refused the slide", about_slide=False),
    "storage_unavailable": _for_now("The bucket did not take the slide"),
}


class SlideError(Exception):
    """One slide did not arrive. Its post's other slides are not affected."""

    def __init__(self, kind: FailureKind, detail: str = "") -> None:
        self.kind: FailureKind = kind
        self.detail = detail
        sentence = KINDS[kind].sentence
        super().__init__(f"{sentence}: {detail}" if detail else f"{sentence}.")

    @property
    def transient(self) -> bool:
        return KINDS[self.kind].transient


class SlideUrlExpiredError(SlideError):
    """`x-expires` has passed, or the mirrors answered 403: only fresh addresses can help."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("expired", detail)


class TransientSlideError(SlideError, TransientError):
    """A SlideError that `dagster_tiktok.net.retry` tries again. Made by `slide_error`."""

    def __init__(
        self, kind: FailureKind, detail: str = "", *, retry_after: float | None = None
    ) -> None:
        SlideError.__init__(self, kind, detail)
        self.retry_after = retry_after


def slide_error(
    kind: FailureKind, detail: str = "", *, retry_after: float | None = None
) -> SlideError:
    """The exception of that kind, of the class that the kind calls for.

    Arguments:
        retry_after: seconds that the server asked us to wait; only transient kinds keep it.
    """
    if kind == "expired":
        return SlideUrlExpiredError(detail)
    if KINDS[kind].transient:
        return TransientSlideError(kind, detail, retry_after=retry_after)
    return SlideError(kind, detail)
