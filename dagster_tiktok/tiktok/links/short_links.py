"""Where a short link leads: to a post, nowhere, or to a notice about us, the reader.

Only pages that we know end a row. TikTok also redirects because of our IP address or country, and
an unknown page may be another case of that.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from urllib.parse import urlsplit

from dagster_tiktok.tiktok.failures import FailureKind, unavailable, unreadable
from dagster_tiktok.tiktok.links.post_links import PostRef, PostUrlError, parse_url

# Where dead links lead. An interstitial may have the name of any other page.
_NOWHERE = frozenset({"", "notfound", "404", "foryou"})
# TikTok's own languages, which prefix a path as regions do: `/en/` is a language, `/hk/` a region.
_LANGUAGES = re.compile(
    r"(?:a[frz]|b[egns]|c[asy]|ceb|d[ae]|e[lnstu]|f[air]|fil|g[alu]|h[eiruy]|i[dst]|j[av]|k[akmno]"
    r"|l[tv]|m[klrsy]|n[blo]|p[alst]|r[ou]|s[klqrvw]|t[aehr]|u[krz]|vi|z[hu])(?:-|\Z)"
)
_PREFIX = re.compile(r"(?:[a-z]{2}|fil|ceb)(?:-[a-z0-9]{2,4}){0,2}\Z")
# Where share links of other things lead. We match the whole path: an interstitial may begin with
# `/live/…`, but not with an account or a sound's number.
_OF_ACCOUNT = frozenset({"live", "playlist", "collection"})
_SOUND = re.compile(r"[^/]+-[0-9]{15,20}\Z")
# The target comes from TikTok, so we don't check its time by our clock.
_ANY_TIME = datetime(9000, 1, 1, tzinfo=timezone.utc)


def parse_target(url: str) -> PostRef:
    """The post, or the further short link, to which a short link redirects.

    Arguments:
        url: absolute, on any host.

    Raises:
        PostUnavailableError: the link is dead, or leads to a known page that is not a post.
        PostUnreadableError: the page is a notice about us, or unknown.
    """
    reject_region_notice(url)
    segments = path_segments(url)
    is_nowhere = len(segments) <= 1 and "".join(segments) in _NOWHERE
    if is_nowhere and _is_tiktok(url):
        raise unavailable(FailureKind.DEAD_LINK, f"redirect to {urlsplit(url).path or '/'}")
    try:
        ref = parse_url(url, now=_ANY_TIME)
    except PostUrlError as error:
        if segments and _is_tiktok(url) and _is_other_page(segments):
            raise unavailable(FailureKind.NOT_A_POST, str(error)) from error
        raise unreadable(FailureKind.UNKNOWN_STATUS, f"redirect: {error}") from error
    if ref.tiktok_id is None and len(segments) > 2:
        raise unreadable(FailureKind.UNKNOWN_STATUS, "redirect to an unknown path")
    return ref


def reject_region_notice(url: str) -> None:
    """Raises PostUnreadableError if a redirect leads to a notice for regions without TikTok."""
    segments = _all_segments(url)
    # Or to a region's home page, where TikTok sends visitors to whom it shows nothing.
    if len(segments) in (1, 2) and _is_region(segments[0]) and "".join(segments[1:]) in _NOWHERE:
        raise unreadable(FailureKind.REGION_NOTICE, f"redirect to {urlsplit(url).path}")


def path_segments(url: str) -> list[str]:
    """The path's parts in lower case, without a language prefix."""
    segments = _all_segments(url)
    if segments and _PREFIX.match(segments[0]):
        del segments[0]
    return segments


def _all_segments(url: str) -> list[str]:
    return [segment for segment in urlsplit(url).path.lower().split("/") if segment]


def _is_region(prefix: str) -> bool:
    return _PREFIX.match(prefix) is not None and _LANGUAGES.match(prefix) is None


def _is_other_page(segments: list[str]) -> bool:
    if segments[0].startswith("@"):
        return segments[0] != "@" and (len(segments) == 1 or segments[1] in _OF_ACCOUNT)
    return segments[0] == "music" and len(segments) == 2 and bool(_SOUND.match(segments[1]))


def _is_tiktok(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "tiktok.com" or host.endswith(".tiktok.com")
