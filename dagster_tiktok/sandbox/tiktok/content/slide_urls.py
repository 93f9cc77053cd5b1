"""Signed, expiring URLs of images like those of TikTok's CDN: each mirror has its own signature.

A real URL names its mirror by host. Here one server plays all mirrors, so the mirror's host
name travels as a parameter, and the signature covers it: moving a signature from one mirror to
the other fails, as swapping hosts does on the real CDN.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Mapping
from hashlib import sha1
from typing import Literal
from urllib.parse import quote

MIRRORS = ("p16-common-sign.tiktokcdn-eu.com", "p19-common-sign.tiktokcdn-eu.com")
HOUR_SECONDS = 3600
_REGIONS = (("maliva", "us"), ("useast5", "us"), ("alisg", "sg"), ("no1a", "eu"))
_PATH = re.compile(
    r"^/tos-[a-z0-9]+-i-photomode-[a-z]{2}/(?P<key>[0-9a-f]{32})~tplv-photomode-image\.[a-z]+$"
)

Verdict = Literal["ok", "expired", "wrong"]


def image_path(image_key: str) -> str:
    """The path of an image. Its extension is a hint only, and sometimes wrong, as on TikTok."""
    store, country = _REGIONS[int(image_key[0], 16) % len(_REGIONS)]
    extension = {"f": "webp", "e": "image"}.get(image_key[1], "jpeg")
    return f"/tos-{store}-i-photomode-{country}/{image_key}~tplv-photomode-image.{extension}"


def image_key(path: str) -> str | None:
    """The 32 hex characters that name the image, or None if it is not an image's path."""
    match = _PATH.match(path)
    return match["key"] if match else None


class SlideSigner:
    """Makes and checks signatures. Lifetimes of an hour or more end at a full hour, as real ones.

    Arguments:
        secret: the key of the signatures; URLs with another secret are rejected.
        lifetime_seconds: from the moment the page is made.
    """

    def __init__(self, secret: bytes, lifetime_seconds: float) -> None:
        self._secret = secret
        self._generation = 0
        self.lifetime_seconds = lifetime_seconds

    def expire_all(self) -> None:
        """Expires every URL that was given out so far."""
        self._generation += 1

    def make_urls(self, base_url: str, key: str) -> list[str]:
        """One URL for each mirror, the first mirror first."""
        path = image_path(key)
        expires = self._expiry()
        return [
            f"{base_url}{path}?dr=10375&x-expires={expires}"
            f"&x-signature={quote(self._sign(path, expires, mirror, self._generation), safe='')}"
            f"&t=4d5b0474&ps=13740610&shp=81f88b70&shcp=9b759fb9&idc=no1a&ftpl=1&host={mirror}"
            for mirror in MIRRORS
        ]

    def check(self, path: str, query: Mapping[str, str]) -> Verdict:
        """Whether we gave out this URL, and it has not expired."""
        mirror, signature = query.get("host", ""), query.get("x-signature", "")
        try:
            expires = int(query.get("x-expires", ""))
        except ValueError:
            return "wrong"
        for generation in range(self._generation, -1, -1):
            if hmac.compare_digest(self._sign(path, expires, mirror, generation), signature):
                current = generation == self._generation and time.time() < expires
                return "ok" if current else "expired"
        return "wrong"

    def _expiry(self) -> int:
        at = time.time() + self.lifetime_seconds
        if self.lifetime_seconds < HOUR_SECONDS:
            return int(at)
        return int(-(-at // HOUR_SECONDS) * HOUR_SECONDS)

    def _sign(self, path: str, expires: int, mirror: str, generation: int) -> str:
        message = f"{generation}\n{path}\n{expires}\n{mirror}".encode()
        return base64.b64encode(hmac.digest(self._secret, message, sha1)).decode()
