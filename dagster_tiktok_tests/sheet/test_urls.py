"""`GOOGLE_SHEET_URL`: one URL or several, as users copy and paste them."""

from __future__ import annotations

import pytest

from dagster_tiktok.sheet.urls import parse_sheet_urls

ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
URL = f"https://docs.google.com/spreadsheets/d/{ID}"
OF_A_USER = f"https://docs.google.com/spreadsheets/u/0/d/{ID}"


@pytest.mark.parametrize(
    ("text", "gids"),
    [
        # From the Share button.
        (f"{URL}/edit?usp=sharing", [None]),
        (f"{URL}/edit?usp=sharing&gid=12", [12]),
        # The browser goes by what stands after the "#".
        (f"{URL}/edit?gid=5#gid=7", [7]),
        # A browser with several Google accounts.
        (f"{OF_A_USER}/edit#gid=3", [3]),
        (f"HTTPS://DOCS.GOOGLE.COM/spreadsheets/d/{ID}/edit#gid=1", [1]),
        # Invisible characters from a chat or a document.
        (f"\ufeff{URL}/edit#gid=1\u200b", [1]),
        # Cells copied from a sheet.
        (f"{URL}/edit#gid=0\t{URL}/edit?gid=1\r\n\n{URL}/edit?gid=2#gid=2\n", [0, 1, 2]),
        # No white space between, as the setting wants it: no tab may be lost without a word.
        (f"{URL}/edit#gid=0,{URL}/edit#gid=1", [0, 1]),
        (f"{URL}/edit#gid=0; {URL}/edit#gid=1;", [0, 1]),
    ],
)
def test_sheet_urls_as_users_paste_them_name_their_tab(text: str, gids: list[int | None]) -> None:
    """Two URLs with a comma between them were read as one, and the second tab was never scraped."""
    assert [(sheet.spreadsheet_id, sheet.gid) for sheet in parse_sheet_urls(text)] == [
        (ID, gid) for gid in gids
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # One tab twice, spelled alike or not.
        (f"{URL}/edit#gid=0\n{URL}/edit?gid=0", "URLs 1 and 2 are the same"),
        (f"{OF_A_USER}/edit#gid=3 {URL}/edit?usp=sharing#gid=3", "are the same"),
        (f"{URL}/edit#gid=00 {URL}/edit#gid=0", "are the same"),
        (f"{URL}/edit?usp=sharing {URL}/edit", "are the same"),
        # The first tab's gid is unknown, so this may be one tab twice.
        (f"{URL}/edit {URL}/edit#gid=0", "add the gid of its tab"),
        # Pasted one after the other.
        (f"{URL}/edit#gid=0{URL}/edit#gid=1", "put a space between two"),
        # No gid that Google gives.
        (f"{URL}/edit#gid=4294967296", "a gid that is a number"),
        (f"{URL}/edit#gid=", "a gid that is a number"),
        # A document among the sheets, and nothing but separators.
        (f"{URL}/edit#gid=1 https://docs.google.com/document/d/{ID}/edit", "(URL 2) must be"),
        (" ,; ", "must be the URL of the sheet"),
    ],
)
def test_an_ambiguous_sheet_url_is_named_with_the_reason(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("(", r"\(").replace(")", r"\)")):
        parse_sheet_urls(text)
