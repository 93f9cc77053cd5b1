"""`GOOGLE_SHEET_URL`: one URL of a tab or several, and what names each in the ledger."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SHEET_URL = re.compile(
    r"^(?i:https?)://[^/]+/(?:a/[^/]+/)?spreadsheets/(?:u/[0-9]+/)?d/(?P<id>[A-Za-z0-9_-]{10,})"
)
# The browser goes by what stands after the "#".
_GID = re.compile(r"(?:#|[?&](?!.*#gid=))gid=([0-9]{1,10})(?![0-9])")

_MAX_GID = 2**31 - 1
"""Google's ids of tabs are 32 bits: a larger one was not copied whole, or typed."""

_SCHEME = re.compile(r"(?i)https?://")
# White space by contract; a comma or a semicolon before the next URL is what people type.
_BETWEEN = re.compile(r"[\s,;]+(?=(?i:https?)://)|\s+")
_INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


@dataclass(frozen=True)
class SheetUrl:
    """One tab. `number` counts from 1 among the `of` URLs of the setting."""

    url: str
    spreadsheet_id: str
    gid: int | None
    """None: the first tab, whichever that is."""
    number: int = 1
    of: int = 1

    @property
    def source(self) -> str:
        """What the ledger knows the tab by: its units are claimed and written back by this."""
        return self.spreadsheet_id if self.gid is None else f"{self.spreadsheet_id}#gid={self.gid}"

    @property
    def name(self) -> str:
        """In messages."""
        return "the sheet" if self.of == 1 else f"sheet {self.number} of GOOGLE_SHEET_URL"


def parse_sheet_urls(text: str) -> tuple[SheetUrl, ...]:
    """The URLs of the setting, separated by white space, in order.

    Raises:
        ValueError: one is not the URL of a sheet, or a tab is named twice.
    """
    parts = [
        part.rstrip(",;")
        for part in _BETWEEN.split(text.translate(_INVISIBLE).strip())
        if part.strip(",;")
    ]
    sheets = tuple(_parse(part, number, len(parts)) for number, part in enumerate(parts, start=1))
    if not sheets:
        raise ValueError("must be the URL of the sheet, as the browser shows it")
    for later in sheets:
        for sheet in sheets[: later.number - 1]:
            if sheet.source == later.source:
                raise ValueError(
                    f"names one tab twice: its URLs {sheet.number} and {later.number} are the same"
                )
            if sheet.spreadsheet_id == later.spreadsheet_id and None in (sheet.gid, later.gid):
                raise ValueError(
                    f"may name one tab twice: its URLs {sheet.number} and {later.number} lead to "
                    "one spreadsheet, and one of them has no gid: add the gid of its tab (#gid=0)"
                )
    return sheets


def _parse(url: str, number: int, of: int) -> SheetUrl:
    # The number and never the URL: it may be anything that was pasted by mistake.
    which = "" if of == 1 else f"(URL {number}) "
    match = _SHEET_URL.match(url)
    if match is None:
        raise ValueError(
            f"{which}must be the sheet's URL as the browser shows it "
            "(https://docs.google.com/spreadsheets/d/…/edit#gid=0)"
        )
    if len(_SCHEME.findall(url)) > 1:
        # Else the second one would be dropped without a word.
        raise ValueError(f"{which}must be one URL; put a space between two")
    gid = _GID.search(url)
    if "gid=" in url and (gid is None or int(gid[1]) > _MAX_GID):
        raise ValueError(f"{which}must end in a gid that is a number (#gid=0)")
    return SheetUrl(url, match["id"], int(gid[1]) if gid else None, number, of)
