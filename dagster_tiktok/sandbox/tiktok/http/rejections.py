"""What TikTok sends in place of a page when it does not want to: challenge, captcha, stubs.

The sizes and marks are those of real responses. The challenge is whole, so that programs that
solve it (gallery-dl, yt-dlp) can; this project recognizes it and backs off.
"""

from __future__ import annotations

import base64
import json
from hashlib import sha256

CHALLENGE_COOKIE = "_wafchallengeid"
_CHALLENGE_BYTES, _CAPTCHA_BYTES, _SHORT_BYTES = 1_400, 5_700, 640
_STATIC = "https://sf16-website-login.neutral.ttwstatic.com/obj/tiktok_web_login_static"


def challenge_page() -> bytes:
    """The "Please wait..." page of SlardarWAF: a small proof of work that a browser's script does.

    The solution is the number 1234.
    """
    seed = b"sandbox-challenge-seed-0123456789"
    task = {
        "v": {
            "a": _base64(seed),
            "b": 1_784_664_542,
            "c": _base64(sha256(seed + b"1234").digest()),
        },
        "s": _base64(sha256(b"signature").digest()),
    }
    encoded = _base64(json.dumps(task, separators=(",", ":")).encode()).rstrip("=")
    config = json.dumps({"slardarClient": "SlardarWAF", "sdkUrl": f"{_STATIC}/slardar/browser.js"})
    text = (
        '<!DOCTYPE html> <html lang="en"> <head> <link rel="icon" href="data:;base64,="> '
        f'<script id="slardar-config" type="application/json"> {config} </script> </head> '
        f'<body> Please wait... <p id="wci" class="{CHALLENGE_COOKIE}"></p> '
        f'<p id="cs" class="{encoded}"></p> <p id="rci" class="waforiginalreid"></p> '
        f'<p id="rs" class="{"0" * 32}"></p> '
        f'<script type="text/javascript" src="{_STATIC}/waf/challenge.js"></script>'
    )
    return _filled(text, "</body></html>", _CHALLENGE_BYTES)


def captcha_page() -> bytes:
    """The interstitial that loads a puzzle."""
    text = (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><title></title></head><body>'
        '<div id="captcha-init"></div><script>window.captchaInit=function(){'
        "TTGCaptcha.init({type:'verify',commonOptions:{aid:1988,iid:'0',did:'0'}})};</script>"
    )
    return _filled(text, "</body></html>", _CAPTCHA_BYTES)


def short_page() -> bytes:
    """A stub of 640 bytes with status 200 and nothing in it."""
    return _filled('<!DOCTYPE html><html><head></head><body><div id="app">', "</div>", _SHORT_BYTES)


def login_page() -> bytes:
    return (
        b"<!DOCTYPE html><html><head><title>Log in | TikTok</title></head>"
        b'<body><div id="loginContainer">Log in to TikTok</div></body></html>'
    )


def _filled(text: str, end: str, size: int) -> bytes:
    body = text.encode()
    padding = size - len(body) - len(end) - len("<!---->")
    return body + b"<!--" + b"x" * max(0, padding) + b"-->" + end.encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
