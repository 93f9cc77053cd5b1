"""Which hosts we may request: protects the network from hostile URLs (SSRF).

Sheet cells and scraped pages contain the URLs that we fetch. So every URL, redirects included,
passes `HostPolicy.check`, and every DNS lookup passes `PublicResolver`, which drops private IP
addresses. That covers DNS rebinding: we check the IP address that we connect to.
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
# IPv4-compatible, NAT64 (RFC 6052), Teredo and 6to4: these contain an IPv4 address.
_IPV4_IN_IPV6 = tuple(
    ipaddress.IPv6Network(net) for net in ("::/96", "64:ff9b::/96", "2001::/32", "2002::/16")
)
# Host names of RFC 1035 (2.3.4), and the underscore that some have.
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\Z")


class ForbiddenHostError(Exception):
    """The URL names a host that we never request."""


@dataclass(frozen=True)
class HostPolicy:
    """An allow-list of hosts.

    `suffixes`: domains that are allowed with their subdomains, over https on port 443 only.
    `origins`: exact `host:port` pairs from the configuration, over http or https; they may be
    local.
    """

    suffixes: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def from_entries(cls, entries: Iterable[str]) -> HostPolicy:
        """From entries as in `SLIDE_ALLOWED_HOSTS`: `host:port` is an origin, else a suffix."""
        names = [entry.strip().lower().lstrip(".") for entry in entries]
        return cls(
            suffixes=frozenset(name for name in names if name and ":" not in name),
            origins=frozenset(name for name in names if ":" in name),
        )

    @classmethod
    def for_base_url(cls, base_url: str, default_suffix: str) -> HostPolicy:
        """The suffix of the real site, or the one origin of another base URL."""
        parts = urlsplit(base_url)
        host = (parts.hostname or "").lower()
        if parts.scheme == "https" and parts.port in (None, 443) and _under(host, default_suffix):
            return cls(suffixes=frozenset({default_suffix}), origins=frozenset())
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(suffixes=frozenset(), origins=frozenset({f"{host}:{port}"}))

    def check(self, url: str) -> URL:
        """The parsed URL, ready to request.

        Raises:
            ForbiddenHostError: the host is not on the list, or the URL has user info, or is not
                http(s).
        """
        if len(url) > _MAX_URL_LENGTH:
            raise ForbiddenHostError("the URL is too long")
        try:
            parsed = URL(url, encoded=True)
            host, port = (parsed.raw_host or "").lower().rstrip("."), parsed.port
        except ValueError:
            raise ForbiddenHostError("the URL is invalid") from None
        if (
            parsed.scheme not in ("http", "https")
            or parsed.raw_user
            or parsed.raw_password
            or not host
        ):
            raise ForbiddenHostError(f"not an http(s) URL of an allowed host: {host!r}")
        if f"{host}:{port}" in self.origins:
            return parsed
        if (
            parsed.scheme == "https"
            and port == 443
            and any(_under(host, suffix) for suffix in self.suffixes)
            and _NAME.match(host)
        ):
            return parsed
        raise ForbiddenHostError(f"host {host!r} is not allowed")

    def is_configured_host(self, host: str) -> bool:
        return any(origin.rpartition(":")[0] == host.lower() for origin in self.origins)


class PublicResolver(AbstractResolver):
    """Looks up host names and drops every IP address that is not public.

    The hosts of the policy's `origins` are exempt, since they are configured.
    """

    def __init__(self, policy: HostPolicy) -> None:
        self._policy = policy
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            found = await self._resolver.resolve(host, port, family)
        except UnicodeError:
            raise OSError(f"{host!r} is not a host name") from None
        if self._policy.is_configured_host(host):
            return found
        public = [result for result in found if _is_public(result["host"])]
        if not public:
            raise OSError(f"{host} has no public IP address")
        return public

    async def close(self) -> None:
        await self._resolver.close()


def _is_public(ip_address: str) -> bool:
    ip = ipaddress.ip_address(ip_address)
    if isinstance(ip, ipaddress.IPv6Address) and any(ip in net for net in _IPV4_IN_IPV6):
        return False
    return ip.is_global and not ip.is_multicast


def _under(host: str, suffix: str) -> bool:
    return host == suffix or host.endswith("." + suffix)
