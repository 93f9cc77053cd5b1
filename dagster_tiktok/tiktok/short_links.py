"""Resolves short links to posts. Where a target leads is decided in `links.short_links`."""

from __future__ import annotations

from dataclasses import replace

from dagster_tiktok.net.hosts import ForbiddenHostError
from dagster_tiktok.tiktok.failures import (
    FailureKind,
    PostUnreadableError,
    unavailable,
    unreadable,
)
from dagster_tiktok.tiktok.links.post_links import PostRef, says_photo
from dagster_tiktok.tiktok.links.short_links import parse_target
from dagster_tiktok.tiktok.pages.scope import extract_scope, has_post_or_account
from dagster_tiktok.tiktok.shared_calls import SharedCalls
from dagster_tiktok.tiktok.site import (
    MAX_REDIRECTS,
    Site,
    make_redirects_error,
    reject_login,
)
from dagster_tiktok.tiktok.transport import Response


class ShortLinkResolver:
    """Requests each short link once, and never downloads its target."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._calls = SharedCalls(self._request)

    async def resolve(self, code: str) -> PostRef:
        """The post behind the code of a short link.

        Raises:
            PostUnavailableError: the link is dead, or leads to something that is not a post.
            PostUnreadableError: TikTok did not say where the link leads.
            TikTokRejectionError: the breaker is open.
        """
        return await self._calls.get(code)

    async def close(self) -> None:
        await self._calls.close()

    async def _request(self, code: str) -> PostRef:
        # A code works on vm., vt. and www. alike, so one URL serves all three.
        url = f"{self._site.base}/t/{code}/"
        try:
            for _ in range(MAX_REDIRECTS + 1):
                target = _parse_location(await self._site.transport.get(url))
                ref = parse_target(self._site.on_site(target))
                if ref.tiktok_id is not None:
                    return replace(
                        ref, short_code=code, is_photo=ref.is_photo or says_photo(target)
                    )
                url = self._site.on_base(target)
        except PostUnreadableError as error:
            self._site.record_unreadable(error)
            raise
        except ForbiddenHostError as error:
            # This may not be about the post: a network's sign-in page also redirects.
            raise unreadable(FailureKind.UNKNOWN_STATUS, f"redirect: {error}") from error
        raise make_redirects_error()


def _parse_location(response: Response) -> str:
    """Where a short link leads."""
    if response.location is not None:
        reject_login(response.location)
        return response.location
    # The body before the status: stubs and challenge pages come with any status.
    is_gone = response.status in (404, 410)
    try:
        scope = extract_scope(response.body)
    except PostUnreadableError as error:
        if is_gone and error.kind is FailureKind.SHIELD:
            # A dead link may look like this. It counts against the post, so that it ends at some
            # point, but it is no rejection: ten such links must not open the breaker.
            raise unreadable(
                FailureKind.UNKNOWN_STATUS, f"HTTP {response.status} without a page"
            ) from error
        raise
    if is_gone and not has_post_or_account(scope):
        raise unavailable(FailureKind.DEAD_LINK, f"HTTP {response.status}")
    raise unreadable(FailureKind.UNREADABLE, "the short link showed a page instead of its target")
