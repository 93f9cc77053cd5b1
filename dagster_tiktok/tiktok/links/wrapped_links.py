"""Recognizes links that lead to another link: of mail scanners, social networks and shorteners.

We never follow them: a cell must not decide which host we request.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_ROUNDS = 3
"""A link that passed through several services is encoded several times."""

_WRAPPERS = frozenset(
    {
        # mail scanners
        "safelinks.protection.outlook.com", "urldefense.com", "urldefense.us",
        "urldefense.proofpoint.com", "protect-us.mimecast.com", "mimecast.com",
        "mimecastprotect.com", "linkprotect.cudasvc.com", "secure-web.cisco.com",
        "clicktime.symantec.com", "url.emailprotection.link", "protection.sophos.com",
        "trustifi.com", "statics.teams.cdn.office.net",
        # social networks and chat programs
        "l.facebook.com", "lm.facebook.com", "l.instagram.com", "l.messenger.com", "l.threads.com",
        "l.threads.net", "l.workplace.com", "l.wl.co", "t.co", "lnkd.in", "slack-redir.net",
        "slack-redir.com", "out.reddit.com", "away.vk.com", "steamcommunity.com", "exit.sc",
        "t.umblr.com",
        # shorteners
        "bit.ly", "bitly.com", "j.mp", "tinyurl.com", "tiny.cc", "is.gd", "v.gd", "goo.gl", "ow.ly",
        "buff.ly", "dlvr.it", "rb.gy", "rebrand.ly", "cutt.ly", "shorturl.at", "short.gy", "t.ly",
        "bl.ink", "s.id", "soo.gd", "href.li", "linkin.bio", "onelink.me", "app.link", "page.link",
    }
)  # fmt: skip
# Redirects on hosts that also have other pages.
_WRAPPING_PATHS = (
    ("google", ("/url", "/imgres", "/amp/")),
    ("youtube.com", ("/redirect",)),
    ("linkedin.com", ("/redir/", "/safety/go")),
    ("facebook.com", ("/l.php", "/flx/warn")),
    ("bing.com", ("/ck/",)),
    ("duckduckgo.com", ("/l/",)),
    ("vk.com", ("/away",)),
    ("zhihu.com", ("/target",)),
    ("notion.so", ("/external",)),
)
_GOOGLE = re.compile(r"(?:www\.|mail\.|images\.)?google(?:\.[a-z]{2,3}){1,2}\Z")
_URL = re.compile(r"(?i)(?:https?:)?//([^/?#]*)(.*)", re.DOTALL)
_HOST = re.compile(r"(?i)(?:[a-z0-9-]+\.)+[a-z]{2,24}\Z")
_INNER = re.compile(
    r"(?i)(?:(?:https?:)?//?|[=/?&_])(?:[a-z0-9-]{1,63}\.){0,4}tiktokv?\.com(?=[/?_:]|\Z)"
)
_INNER_POST = re.compile(r"(?i)(?:/|_)(?:video|photo|v|embed|v2)(?:/|_)([0-9]{15,20})(?![0-9])")


def wrapping_host(link: str) -> str | None:
    """The host of a link that leads to another link, None for any other link.

    Arguments:
        link: on another host than TikTok's, with or without a scheme.
    """
    match = _URL.match(link) or _URL.match(f"//{link}")
    if match is None:
        return None
    host, rest = match[1].lower().removesuffix(".").partition(":")[0], match[2]
    if not _HOST.match(host):
        return None
    if _is_wrapper(host, rest) or any(_INNER.search(text) for text in _decoded(rest)):
        return host
    return None


def wrapped_id(link: str) -> str | None:
    """The post's id inside a wrapped link, if there is one."""
    for text in _decoded(link):
        if match := _INNER_POST.search(text):
            return match[1]
    return None


def _is_wrapper(host: str, rest: str) -> bool:
    labels = host.split(".")
    if any(".".join(labels[n:]) in _WRAPPERS for n in range(len(labels) - 1)):
        return True
    for name, paths in _WRAPPING_PATHS:
        is_host = (
            _GOOGLE.match(host) if name == "google" else host == name or host.endswith("." + name)
        )
        if is_host and rest.lower().startswith(paths):
            return True
    return False


def _decoded(text: str) -> list[str]:
    """`text` and its content below each layer of encoding.

    Proofpoint's version 2 writes `-` for `%` and `_` for `/`.
    """
    layers = [text]
    for _ in range(_ROUNDS):
        layers.append(unquote(layers[-1]))
    layers.append(unquote(re.sub(r"-([0-9A-F]{2})", r"%\1", text).replace("_", "/")))
    return layers
