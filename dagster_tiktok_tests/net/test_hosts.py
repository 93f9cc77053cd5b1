from __future__ import annotations

import asyncio
import socket

import pytest

from dagster_tiktok.net.hosts import ForbiddenHostError, HostPolicy, PublicResolver

CDN = HostPolicy.from_entries(["tiktokcdn.com", "127.0.0.1:8080"])


@pytest.mark.parametrize(
    "address",
    [
        "https://tiktokcdn.com/a.jpeg",
        "https://p16-sign.tiktokcdn.com/a~b.jpeg?x-expires=1&x-signature=a%2Bb%3D",
        "http://127.0.0.1:8080/a.jpeg",
    ],
)
def test_url_of_an_allowed_host_is_unchanged(address: str) -> None:
    assert str(CDN.check(address)) == address


@pytest.mark.parametrize(
    "address",
    [
        "http://p16.tiktokcdn.com/a",
        "https://p16.tiktokcdn.com:8443/a",
        "https://tiktokcdn.com.evil.example/a",
        "https://eviltiktokcdn.com/a",
        "https://tiktokcdn.com@evil.example/a",
        "https://user@p16.tiktokcdn.com/a",
        "https://p16.tiktokcdn.com\\@evil.example/a",
        "https://evil\u3002tiktokcdn.com/a",
        "http://127.0.0.1:8081/a",
        "http://127.0.0.1/a",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:8080/",
        "https://[::ffff:127.0.0.1]/",
        "http://2130706433:8080/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//p16.tiktokcdn.com/a",
        "https:///a",
        "",
        "https://p16.tiktokcdn.com/" + "a" * 5000,
        f"https://{'a' * 64}.tiktokcdn.com/",
        f"https://{'a.' * 130}tiktokcdn.com/",
        "https://a..tiktokcdn.com/",
        "https://.tiktokcdn.com/",
        "https://a%2fb.tiktokcdn.com/",
        "https://\u00ad.tiktokcdn.com/",
    ],
)
def test_other_urls_are_not_allowed(address: str) -> None:
    with pytest.raises(ForbiddenHostError):
        CDN.check(address)


def test_real_base_url_allows_its_subdomains_over_https() -> None:
    policy = HostPolicy.for_base_url("https://www.tiktok.com", "tiktok.com")

    assert policy.check("https://vm.tiktok.com/ZT123/")
    with pytest.raises(ForbiddenHostError):
        policy.check("http://www.tiktok.com/")


def test_local_base_url_allows_only_that_origin() -> None:
    policy = HostPolicy.for_base_url("http://127.0.0.1:9000", "tiktok.com")

    assert policy.check("http://127.0.0.1:9000/@a/video/1")
    with pytest.raises(ForbiddenHostError):
        policy.check("https://www.tiktok.com/")


def test_name_with_a_private_ip_address_is_not_resolved() -> None:
    # `localhost` stands for a listed name whose owner points it at this machine.
    async def resolve(policy: HostPolicy) -> int:
        resolver = PublicResolver(policy)
        try:
            return len(await resolver.resolve("localhost", 443, socket.AF_INET))
        finally:
            await resolver.close()

    with pytest.raises(OSError, match="no public IP address"):
        asyncio.run(resolve(HostPolicy.from_entries(["localhost"])))
    assert asyncio.run(resolve(HostPolicy.from_entries(["localhost:443"]))) >= 1


def test_invalid_name_is_a_network_error() -> None:
    async def resolve() -> None:
        resolver = PublicResolver(CDN)
        try:
            await resolver.resolve("a" * 64, 443, socket.AF_INET)
        finally:
            await resolver.close()

    with pytest.raises(OSError, match="not a host name"):
        asyncio.run(resolve())


@pytest.mark.parametrize(
    "address", ["224.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1"]
)
def test_ip_addresses_that_are_not_public(address: str) -> None:
    async def resolve() -> None:
        resolver = PublicResolver(CDN)
        try:
            await resolver.resolve(address, 443, socket.AF_UNSPEC)
        finally:
            await resolver.close()

    with pytest.raises(OSError, match=r"no public IP address|not known|not supported"):
        asyncio.run(resolve())
