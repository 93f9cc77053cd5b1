"""What surrounds the data of a TikTok page: 250 to 400 KB of styles, scripts and translations.

The bulk is the same for all pages, so it is made and compressed once. A page is the prepared head,
its own script, and one of a few prepared tails. Every page's translations hold "Video unavailable"
and "captcha", as on the real site: a parser that searches the text for these words is wrong.
"""

from __future__ import annotations

import json
import random
import re
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

SCRIPT_OPEN = b'<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__" type="application/json">'
_TAIL_SIZES_KB = (215, 230, 245, 260, 275, 290, 305, 325)
_HEAD_KB = 12
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

_WORDS: list[str] = re.findall(
    r"\w+",
    "account video creator share profile follow comment music effect duet stitch report block "
    "privacy setting language notification discover explore live message upload caption hashtag "
    "sound favorite search result sign login password verify code phone email birthday friend "
    "repost playlist series gift coin balance policy guideline community safety parent family",
)

_SHOWN_TEXTS = {
    "video_unavailable": "Video unavailable",
    "video_unavailable_desc": "This video is unavailable. Visit TikTok to discover more videos.",
    "video_private": "This video is private",
    "account_private": "This account is private",
    "account_not_found": "Couldn't find this account",
    "captcha_title": "Verify to continue",
    "captcha_drag": "Drag the slider to fit the puzzle (captcha)",
    "captcha_error": "captcha expired, please wait...",
    "login_required": "Log in to TikTok",
    "age_restricted": "This post is age protected",
    "deleted": "This post was deleted by its author",
    "region": "Video is not available in your country or region",
}


@dataclass(frozen=True)
class _Part:
    """Prepared bytes, and the same as raw deflate blocks that can be joined with others."""

    plain: bytes
    deflated: bytes


def page(script_json: bytes, variant: int, *, gzip: bool) -> bytes:
    """A whole page around the rehydration JSON.

    Arguments:
        script_json: the text of the script, `<` already escaped.
        variant: any number; equal numbers give equal surroundings.
    """
    head, tail = _head(), _tail(_TAIL_SIZES_KB[variant % len(_TAIL_SIZES_KB)])
    script = SCRIPT_OPEN + script_json + b"</script>"
    if not gzip:
        return head.plain + script + tail.plain
    checksum = zlib.crc32(tail.plain, zlib.crc32(script, zlib.crc32(head.plain)))
    length = len(head.plain) + len(script) + len(tail.plain)
    trailer = struct.pack("<LL", checksum, length & 0xFFFFFFFF)
    middle = _deflate(script, level=1, last=False)
    return b"".join((_GZIP_HEADER, head.deflated, middle, tail.deflated, trailer))


@lru_cache(maxsize=1)
def static_scope() -> str:
    """The rehydration JSON without the post: `"name":{…},"name":{…}`, about 28 KB."""
    rng = random.Random("scope")
    scope = {
        "webapp.app-context": {
            "language": "en",
            "region": "US",
            "appId": 1233,
            "appType": "t",
            "wid": "7665075736742530317",
            "webIdCreatedTime": "1784664542",
            "odinId": "7665075737413586958",
            "nonce": "b1c8f4e0a7d94f6d",
            "botType": "others",
            "requestId": "202611220000000102030405060708090A",
            "clusterRegion": "ttp2",
            "csrfToken": "Qm7vXw2d-0000000000000000000000000000000",
            "userAgent": "",
            "encryptedWebid": "",
            "host": "www.tiktok.com",
            "abTestVersion": {
                "versionName": ",".join(str(rng.randint(70_000_000, 79_999_999)) for _ in range(80))
            },
        },
        "webapp.biz-context": {
            "os": "windows",
            "isMobile": False,
            "isAndroid": False,
            "isIOS": False,
            "jumpType": "store_url",
            "navList": [{"title": _phrase(rng, 2), "href": f"/{_word(rng)}"} for _ in range(60)],
            "domains": {"kind": "ttp", "captcha": "verification-va.tiktok.com"},
            "config": {f"{_word(rng)}_{n}": rng.random() < 0.5 for n in range(200)},
        },
        "webapp.i18n-translation": {
            **_SHOWN_TEXTS,
            **{f"webapp_{_word(rng)}_{n}": _phrase(rng, 6) for n in range(310)},
        },
    }
    return escape_json(json.dumps(scope, ensure_ascii=False, separators=(",", ":")))[1:-1]


def escape_json(text: str) -> str:
    """JSON that is safe inside a script element, with slashes escaped as TikTok does."""
    for character in "/<>\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04X}")
    return text


@lru_cache(maxsize=1)
def _head() -> _Part:
    rng = random.Random("head")
    rules = _styles(rng, _HEAD_KB * 1024)
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="UTF-8">'
        "<title>TikTok - Make Your Day</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<script id="api-domains" type="application/json">{"rootApi":"www.tiktok.com"}</script>'
        f"<style>{rules}</style></head><body>"
    )
    return _part(text, last=False)


@lru_cache(maxsize=len(_TAIL_SIZES_KB))
def _tail(size_kb: int) -> _Part:
    rng = random.Random(f"tail {size_kb}")
    bundle: dict[str, str] = dict(_SHOWN_TEXTS)
    size = 0
    while size < size_kb * 512:
        key, text = f"{_word(rng)}_{_word(rng)}_{len(bundle)}", _phrase(rng, 9)
        bundle[key] = text
        size += len(key) + len(text) + 6
    text = (
        '<div id="app"><div class="skeleton"></div></div><script>window.__i18n='
        f"{json.dumps(bundle, separators=(',', ':'))};</script>"
        "<script>window.__data=JSON.parse(document.getElementById("
        '"__UNIVERSAL_DATA_FOR_REHYDRATION__").textContent);</script>'
        f"<style>{_styles(rng, size_kb * 512)}</style></body></html>"
    )
    return _part(text, last=True)


def _part(text: str, *, last: bool) -> _Part:
    plain = text.encode()
    return _Part(plain, _deflate(plain, level=6, last=last))


def _deflate(data: bytes, *, level: int, last: bool) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    ending = zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH
    return compressor.compress(data) + compressor.flush(ending)


def _styles(rng: random.Random, size: int) -> str:
    rules: list[str] = []
    length = 0
    while length < size:
        rules.append(
            f".css-{rng.getrandbits(32):08x}-{_word(rng)}"
            f"{{margin:{rng.randint(0, 40)}px;color:#{rng.getrandbits(24):06x}}}"
        )
        length += len(rules[-1])
    return "".join(rules)


def _word(rng: random.Random) -> str:
    return rng.choice(_WORDS)


def _phrase(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words)).capitalize()
