"""The columns that the pipeline knows, and what people call them."""

from __future__ import annotations

import re
import unicodedata

from dagster_tiktok.text import quoted

REQUIRED = ("Post URL", "Status")
WANTED = ("VA", "Creator", "Set ID", "Type")
"""Without one of these columns its fields are NULL, and a run says so once."""

READ_IF_PRESENT = ("Date",)
WRITTEN_IF_PRESENT = ("Error", "Scraped At", "Views", "Likes", "Comments", "Shares", "Slides")
COLUMNS = REQUIRED + WANTED + READ_IF_PRESENT + WRITTEN_IF_PRESENT

# Folded, see `folded`. Only what can mean nothing else: "Account" may be the creator or the
# profile, "Set" a number or a name, "Content Type" video or carousel. Written columns have none:
# what is written must be called exactly so.
ALIASES = {
    "Post URL": (
        "url", "link", "postlink", "postsurl", "postedlink", "postedurl", "linktopost",
        "urltopost", "tiktokurl", "tiktoklink", "tiktokposturl", "tiktokpostlink",
        "tiktokvideourl", "tiktokvideolink", "linktotiktok", "linktotiktokpost",
        "linktotiktokvideo", "urltotiktok", "videourl", "videolink", "linktovideo", "liveurl",
        "livelink", "urlofpost", "linkofpost", "postlinkurl", "posturllink", "videourltiktok",
        "videolinktiktok",
    ),
    "Status": ("scrapestatus", "scrapingstatus", "scraperstatus"),
    "VA": ("vaname", "virtualassistant", "postedby", "assignedto", "assignee", "uploadedby",
           "loggedby"),
    "Creator": ("creatorname", "nameofcreator"),
    "Set ID": ("setnumber", "setno", "setnr", "setnum", "idofset"),
    "Type": ("posttype", "typeofpost", "newrepost", "neworrepost"),
    "Date": ("postdate", "createddate", "dateposted", "posteddate", "postedon", "postingdate",
             "publishdate", "publisheddate", "datepublished"),
}  # fmt: skip

# A digit in a box (U+20E3) is decoration, as other emoji are.
_KEYCAP = re.compile("[0-9#*]\ufe0f?\u20e3")
_NUMBER_SIGN = re.compile("[#\u2116]")


def normalize_header(text: str) -> str:
    """A header without case, space, punctuation and emoji; the text itself if nothing is left."""
    plain = unicodedata.normalize("NFKC", _KEYCAP.sub("", text)).casefold()
    letters = "".join(character for character in plain if character.isalnum())
    return letters or " ".join(text.split())


def lookup_names(text: str) -> tuple[str, ...]:
    """What a header may be looked up by: folded, and with `#` read as "number"."""
    name = normalize_header(text)
    numbered = normalize_header(_NUMBER_SIGN.sub(" number ", _KEYCAP.sub("", text)))
    return (name,) if numbered == name else (name, numbered)


def parse_columns(text: str) -> dict[str, str]:
    """`GOOGLE_SHEET_COLUMNS` as headers by column: `Post URL=TikTok Link; VA=Assigned To`.

    Raises:
        ValueError: with the end of a message that begins with the variable's name.
    """
    by_name = {normalize_header(name): name for name in COLUMNS}
    columns: dict[str, str] = {}
    for part in re.split(r"[;\n]", text):
        if not part.strip():
            continue
        given, equals, header = part.partition("=")
        name = by_name.get(normalize_header(given))
        header = " ".join(header.split())
        if not equals or not header:
            raise ValueError(
                'must be written like "Post URL=TikTok Link; VA=Assigned To", but holds '
                f"{_shown(part)}"
            )
        if name is None:
            raise ValueError(
                f"names a column {_shown(given)} that is not known; the known ones are "
                f"{', '.join(COLUMNS)}"
            )
        if name in columns:
            raise ValueError(f'names the column "{name}" twice')
        same = [
            other
            for other, known in columns.items()
            if normalize_header(known) == normalize_header(header)
        ]
        if same:
            raise ValueError(f'gives "{same[0]}" and "{name}" the same header {_shown(header)}')
        columns[name] = header
    return columns


def _shown(text: str) -> str:
    return quoted(" ".join(text.split()), 40)
