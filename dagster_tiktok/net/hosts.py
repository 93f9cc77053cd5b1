"""Which hosts may be requested: the guard between hostile text and the network.

Sheet cells and scraped pages name the addresses that we fetch, so every address, redirects
included, passes `HostPolicy.check`, and every name that is looked up passes `PublicResolver`,
which refuses names that lead into a private network (DNS rebinding included: the check is on the
address that is connected to).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

_MAX_URL_LENGTH = 4096
# IPv4-compatible, NAT64 (RFC 6052), Teredo and 6to4: they lead to the IPv4 address inside them.
_IPV4_IN_IPV6 = tuple(
    ipaddress.IPv6Network(net) for net in ("::/96", "64:ff9b::/96", "2001::/32", "2002::/16")
)
# As names are looked up (RFC 1035, 2.3.4), with the underscore that some have all the same.
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\Z")


class ForbiddenHostError(Exception):
    """The address leads to a host that is never requested."""


@dataclass(frozen=True)
class HostPolicy:
    """An allow-list.

    `suffixes`: host names whose own and sub-domains are allowed, over https on port 443 only.
    `origins`: exact `host:port` pairs that the owner configured, over http or https; they may be
    local.
    """

    suffixes: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def from_entries(cls, entries: Iterable[str]) -> HostPolicy:
        """From `SLIDE_ALLOWED_HOSTS`-like entries: `host:port` is an origin, else a suffix."""
        names = [entry.strip().lower().lstrip(".") for entry in entries]
        return cls(
            suffixes=frozenset(name for name in names if name and ":" not in name),
            origins=frozenset(name for name in names if ":" in name),
        )

    @classmethod
    def for_base_url(cls, base_url: str, default_suffix: str) -> HostPolicy:
        """The real site's suffix, or the one origin of a base address that is not the site's."""
        parts = urlsplit(base_url)
        host = (parts.hostname or "").lower()
        if parts.scheme == "https" and parts.port in (None, 443) and _under(host, default_suffix):
            return cls(suffixes=frozenset({default_suffix}), origins=frozenset())
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(suffixes=frozenset(), origins=frozenset({f"{host}:{port}"}))

    def check(self, address: str) -> URL:
        """The address as it will be requested.

        Raises:
            ForbiddenHostError: for anything not on the list, with user info, or not http(s).
        """
        if len(address) > _MAX_URL_LENGTH:
            raise ForbiddenHostError("the address is too long")
        try:
            url = URL(address, encoded=True)
            host, port = (url.raw_host or "").lower().rstrip("."), url.port
        except ValueError:
            raise ForbiddenHostError("the address cannot be read") from None
        if url.scheme not in ("http", "https") or url.raw_user or url.raw_password or not host:
            raise ForbiddenHostError(f"not an http(s) address of an allowed host: {host!r}")
        if f"{host}:{port}" in self.origins:
            return url
        if (
            url.scheme == "https"
            and port == 443
            and any(_under(host, suffix) for suffix in self.suffixes)
            and _NAME.match(host)
        ):
            return url
        raise ForbiddenHostError(f"host {host!r} is not allowed")

    def is_configured_host(self, host: str) -> bool:
        return any(origin.rpartition(":")[0] == host.lower() for origin in self.origins)


class PublicResolver(AbstractResolver):
    """ScrapePasses names up and drops every answer that is not a public address.

    Hosts of the policy's `origins` are exempt: the owner named them.
    """

    def __init__(self, policy: HostPolicy) -> None:
        self._policy = policy
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            answers = await self._resolver.resolve(host, port, family)
        except UnicodeError:
            raise OSError(f"{host!r} is not the name of a host") from None
        if self._policy.is_configured_host(host):
            return answers
        public = [answer for answer in answers if _is_public(answer["host"])]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and any(ip in net for net in _IPV4_IN_IPV6):
        return False
    return ip.is_global and not ip.is_multicast


def _under(host: str, suffix: str) -> bool:
    return host == suffix or host.endswith("." + suffix)
