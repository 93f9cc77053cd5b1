"""Normalizes the spelling of links: escaped, encoded, full-width or with a broken scheme.

That is how links arrive from program output, mail and phones. Each spelling is undone once, so
text that is encoded twice stays encoded. The host that comes out is checked afterwards, like any
other, and only a post's id or code passes.
"""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import unquote

LABELS = r"(?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)"
"""A label of a host name with its dot; `xn--` names (punycode) are never TikTok's."""
_TIKTOK = rf"(?:{LABELS}){{0,4}}tiktokv?\.com"

OTHER_SCHEME = re.compile(
    r"(?i)(?<![a-z0-9])(?:(?:javascript|vbscript|blob|filesystem)(?::|%3a)|file(?::|%3a)[/\\%]"
    r"|data(?::|%3a)(?=[a-z]+[/\\%]|[,;]))"
)
"""A scheme that runs or reads something. `Data:` before a link may be just a label."""

# Joiners, fillers and variation selectors are invisible, like the format characters (Cf).
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_BLANK = "\u2800\ufffc\ufffd"
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_ESCAPED_SLASH = re.compile(r"\\+/")
# Printable ASCII, as JSON (`\u002F`) and JavaScript (`\x2F`) write it.
_ESCAPED_SIGN = re.compile(r"\\+(?:u00|x)([2-7][0-9a-fA-F])")
_BACKSLASHED = re.compile(r"(?i)https?:\\\\\S+")
_ANY_HYPHEN = re.compile(r"(?<=[A-Za-z0-9])[\u2010\u2011\u2212\ufe63\uff0d](?=[A-Za-z0-9])")

_CHUNK = re.compile(r"\S+")
_PART = re.compile(r"[^\s\"'`<>()\[\]{}|,;^]+")
_ENCODED = re.compile(
    r"(?i)https?(?:%3a(?:%2f|/){2}|:(?:%2f){2})"
    rf"|(?:https?://)?(?<![a-z0-9@\\.#=&?%-])(?<!(?<!/)/){_TIKTOK}%2f"
)
_LINK_BEFORE = re.compile(rf"(?i)://|{LABELS}[a-z]{{2,24}}\.?(?::[0-9]+)?[/?#]")

_WIDE = re.compile("[\uff01-\uff5e]")
_WIDE_SCHEME = re.compile("(?i)[h\uff48][t\uff54]{2}[p\uff50][s\uff53]?[:\uff1a][/\uff0f]{2}")
_WIDE_HOST = re.compile(
    "(?i)(?<![a-z0-9\uff41-\uff5a-])"
    "(?:[a-z0-9\uff41-\uff5a\uff10-\uff19-]{1,63}[.\uff0e\u3002]){0,2}"
    "(?:tiktokv?[.\uff0e\u3002]com|\uff54\uff49\uff4b\uff54\uff4f\uff4b\uff56?[.\uff0e\u3002]\uff43\uff4f\uff4d)"
    "(?![a-z0-9\uff41-\uff5a-])"
)
_NARROW_ALL = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3002: 0x2E}
# Brackets, commas and the like separate, whatever their width is.
_NARROW = {
    ord(wide): narrow
    for wide, narrow in zip(
        "\uff0e\uff0f\uff1a\uff20\uff1f\uff1d\uff06\uff05\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",
        "./:@?=&%0123456789",
    )
}
_NARROW_LETTERS = _NARROW | {
    wide: wide - 0xFEE0
    for wide in (*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B), 0xFF3F, 0xFF3C, 0xFF0D)
}

# `https:/`, `https:`, `https///`, `https//`, `https: //`: directly before TikTok's host.
_DAMAGED_SCHEME = re.compile(
    rf"(?i)(?<![a-z0-9])https?(?:[:;]?/{{1,4}}|:)(?={_TIKTOK}(?![a-z0-9.-]))"
)
# `htp://`, `ttps://`, `htttps:/`: no other scheme's name, directly before TikTok's host.
_MISTYPED_SCHEME = re.compile(
    rf"(?i)(?<![a-z0-9])(?!https?://)h{{0,2}}t{{1,3}}p{{1,2}}s{{0,2}}[:;]?/{{1,4}}"
    rf"(?={_TIKTOK}(?![a-z0-9.-]))"
)
_SPACED_SCHEME = re.compile(rf"(?i)(?<![a-z0-9])https?[ \t]*:[ \t]*//[ \t]*(?={_TIKTOK})")
_ANY_SCHEME = re.compile(r"(?i)http")
_WHOLE_SCHEME = re.compile(r"(?i)https?://(?!http)[a-z0-9]")
_REPEATED_SCHEME = re.compile(r"(?i)(?:https?:/{1,3}|https?//){2,}")
# Programs break lines at the hyphen of today's codes.
_BROKEN_CODE = re.compile(
    r"(?i)((?:\bv[a-z0-9]?\.tiktok\.com/|\btiktok\.com/t/)[a-z0-9]{5,40}-)[ \t]*[\r\n]\s*"
    r"(?=[a-z0-9]{3,10}(?:[/?\s]|\Z))"
)
_BROKEN_AT_SLASH = re.compile(r"(?<=/)\s+(?=[@%A-Za-z0-9])|\s+(?=/@)|\s*[\r\n]\s*(?=/)")


def as_in_a_url(text: str) -> str:
    """`text` with normalized links; other parts may change as well.

    Arguments:
        text: a cell's text, of limited length.
    """
    text = _visible(_BROKEN_CODE.sub(r"\1", text))
    for undo in (_unescaped, _narrow, _decoded):
        if (undone := undo(text)) != text:
            text = _visible(undone)
    is_damaged = len(_WHOLE_SCHEME.findall(text)) != len(_ANY_SCHEME.findall(text))
    if is_damaged or _MISTYPED_SCHEME.search(text):
        text = _CHUNK.sub(_with_its_scheme, _SPACED_SCHEME.sub("https://", text))
    return text if text.isascii() else _ANY_HYPHEN.sub("-", text)


def without_breaks(text: str) -> str:
    """`text` without the white space at which a link may have been broken into lines."""
    return _BROKEN_AT_SLASH.sub("", text)


def _visible(text: str) -> str:
    """Removes zero-width characters, direction marks, soft hyphens and the like, which come with
    pasted text; control characters and blanks become spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if character in _BLANK or unicodedata.category(character) == "Cc" else character
        for character in _UNSEEN.sub("", text)
        if unicodedata.category(character) != "Cf"
    )


def _unescaped(text: str) -> str:
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if "\\" not in text:
        return text
    text = _ESCAPED_SIGN.sub(lambda match: chr(int(match[1], 16)), text)
    text = _ESCAPED_SLASH.sub("/", text)
    return _BACKSLASHED.sub(lambda match: match[0].replace("\\", "/"), text)


def _narrow(text: str) -> str:
    if not _WIDE.search(text) and "\u3002" not in text:
        return text
    return _CHUNK.sub(_narrow_link, text)


def _narrow_link(chunk: re.Match[str]) -> str:
    text = chunk[0]
    scheme, host = _WIDE_SCHEME.search(text), _WIDE_HOST.search(text)
    found = scheme or host
    if found is None:
        return text
    # A name with only some wide letters imitates TikTok's: it stays as it is.
    is_wide = host is not None and not host[0].isascii() and "tiktok" not in host[0].lower()
    if host is not None:
        text = text[: host.start()] + host[0].translate(_NARROW_ALL) + text[host.end() :]
    if scheme is not None:
        text = text[: scheme.start()] + scheme[0].translate(_NARROW_ALL) + text[scheme.end() :]
    if is_wide:
        return text.translate(_NARROW_LETTERS)
    return text[: found.start()] + text[found.start() :].translate(_NARROW)


def _decoded(text: str) -> str:
    return _PART.sub(_decoded_part, text) if "%" in text else text


def _decoded_part(part: re.Match[str]) -> str:
    found = _ENCODED.search(part[0])
    # After another link it is a parameter of that link.
    if found is None or _LINK_BEFORE.search(part[0], 0, found.start()):
        return part[0]
    return unquote(part[0])


def _with_its_scheme(chunk: re.Match[str]) -> str:
    text = _REPEATED_SCHEME.sub("https://", chunk[0])
    found = _DAMAGED_SCHEME.search(text) or _MISTYPED_SCHEME.search(text)
    if found is None or OTHER_SCHEME.search(text) or _LINK_BEFORE.search(text, 0, found.start()):
        return text
    return f"{text[: found.start()]}https://{text[found.end() :]}"
