from __future__ import annotations

import asyncio
import itertools
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_tiktok.database.ledger import ScrapeResult
from dagster_tiktok.models import RowDetails, Unit
from dagster_tiktok.stages.scrape_passes import ScrapePasses
from dagster_tiktok.tiktok.client import TikTokClient
from dagster_tiktok.tiktok.failures import PostError
from dagster_tiktok.tiktok.links.post_links import (
    PostRef,
    PostUrlError,
    canonical_url,
    parse_post_link,
)
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.responses import redirect
from dagster_tiktok_tests.support.settings import tiktok_settings

ID = "7681723633164717325"
CODE = "ZMabc1234"

SCHEMES = ("https://", "http://", "HTTPS://", "//", "")
QUERIES = (
    "",
    "?is_from_webapp=1&sender_device=pc",
    "?_r=1&_t=8abc&share_link_id=x,y",
    "?utm_source=copy&u=https://www.tiktok.com/@x/video/1",
    "#top",
    "&is_from_webapp=1",
    "?_r=1&_t=ZT-8abc&share_app_id=1233&share_item_id=1&utm_campaign=client_share&lang=de-DE",
)
BY_ID = {
    f"@nasa/video/{ID}": "nasa",
    f"@nasa/photo/{ID}": "nasa",
    f"@na.sa_1/Video/{ID}": "na.sa_1",
    f"%40nasa/video/{ID}": "nasa",
    f"@/video/{ID}": None,
    f"embed/{ID}": None,
    f"embed/v2/{ID}": None,
    f"share/video/{ID}": None,
    f"i18n/share/video/{ID}": None,
    f"v/{ID}.html": None,
    f"v/{ID}": None,
    f"share/photo/{ID}": None,
    f"embed/v3/{ID}": None,
    f"player/v1/{ID}": None,
}
ID_HOSTS = (
    "www.tiktok.com",
    "tiktok.com",
    "m.tiktok.com",
    "WWW.TikTok.COM",
    "www.tiktokv.com",
    "www.tiktok.com.",
    "www.tiktok.com:443",
)
SHORT = (
    f"www.tiktok.com/t/{CODE}",
    f"tiktok.com/t/{CODE}",
    f"vm.tiktok.com/{CODE}",
    f"vt.tiktok.com/{CODE}",
    f"VM.TIKTOK.com/{CODE}",
)

HOSTILE = (
    f"https://tiktok.com.evil.example/@a/video/{ID}",
    f"https://www.tiktok.com@evil.example/@a/video/{ID}",
    f"https://user:word@www.tiktok.com/@a/video/{ID}",
    f"https://evil.example/@www.tiktok.com/video/{ID}",
    f"https://evil.example\\@www.tiktok.com/@a/video/{ID}",
    f"https://www.tiktok.com\\.evil.example/@a/video/{ID}",
    f"https://evil.example#www.tiktok.com/@a/video/{ID}",
    f"https://nottiktok.com/@a/video/{ID}",
    f"https://tiktok.com-evil.example/@a/video/{ID}",
    f"https://xn--tiktk-8ta.com/@a/video/{ID}",
    f"https://xn--abc.tiktok.com/@a/video/{ID}",
    f"https://www.tikt\u043ek.com/@a/video/{ID}",
    f"https://www.\uff54iktok.com/@a/video/{ID}",
    f"https://www.tik\ntok.com/@a/video/{ID}",
    f"https://www.tiktok.com%2eevil.example/@a/video/{ID}",
    f"https://www.tiktok.com:8080/@a/video/{ID}",
    f"https://.tiktok.com/@a/video/{ID}",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/",
    f"https://[::1]/@a/video/{ID}",
    f"https://[2001:db8::1]:443/@a/video/{ID}",
    "http://[fd00:ec2::254]/latest/meta-data",
    "http://[::ffff:127.0.0.1]/@a/video/1",
    f"http://169.254.169.254/@a/video/{ID}",
    f"http://127.0.0.1/@a/video/{ID}",
    f"https://localhost/t/{CODE}",
    "http://2130706433/",
    "http://0x7f.1/",
    "javascript:alert(1)",
    f"JavaScript:https://www.tiktok.com/@a/video/{ID}",
    f"javascript:alert(1)//www.tiktok.com/@a/video/{ID}",
    f"data:text/html,https//www.tiktok.com/@a/video/{ID}",
    f"file:///www.tiktok.com/@a/video/{ID}",
    f"ftp://www.tiktok.com/@a/video/{ID}",
    f"htp://evil.example/@a/video/{ID}",
    f"ttps://tiktok.com.evil.example/@a/video/{ID}",
    f"https:/evil.example/@www.tiktok.com/video/{ID}",
    f"tikok.com/@a/video/{ID}",
    "hello",
    ID,
    '=IMPORTXML("https://evil.example","//a")',
)


def test_every_form_of_a_post_url() -> None:
    matrix = list(itertools.product(SCHEMES, ID_HOSTS, BY_ID.items(), ("", "/"), QUERIES))
    assert len(matrix) > 1000
    for scheme, host, (path, user), slash, query in matrix:
        address = f"{scheme}{host}/{path}{slash}{query}"
        ref = parse_post_link(address)
        assert ref == PostRef(tiktok_id=ID, user=user), address
        assert ref.key == ID


@given(
    st.from_regex(r"[A-Za-z0-9_.-]{1,66}", fullmatch=True),
    st.from_regex(r"[0-9]{13,21}", fullmatch=True),
    st.from_regex(r"(\?[A-Za-z0-9_=&.%-]{0,20})?", fullmatch=True),
)
def test_usual_form_gives_the_same_as_another_spelling(user: str, number: str, query: str) -> None:
    rest = f"://www.tiktok.com/@{user}/video/{number}{query}"
    results: list[PostRef | str] = []
    for scheme in ("https", "HTTPS"):
        try:
            results.append(parse_post_link(scheme + rest))
        except PostUrlError as error:
            results.append(str(error).replace("HTTPS", "https"))
    assert results[0] == results[1]


def test_every_form_of_a_short_link() -> None:
    for scheme, address, slash, query in itertools.product(SCHEMES, SHORT, ("", "/"), QUERIES):
        ref = parse_post_link(f"{scheme}{address}{slash}{query}")
        assert ref == PostRef(short_code=CODE), address
        assert ref.key == f"t/{CODE}"


def test_key_does_not_change_when_a_short_link_is_resolved() -> None:
    before = PostRef(short_code=CODE)
    assert PostRef(tiktok_id=ID, short_code=CODE, user="nasa").key == before.key


@pytest.mark.parametrize(
    "wrapping",
    [" {} ", "\n{}\t", '"{}"', "<{}>", "\u200b{}\ufeff", "“{}”", "{},", "{} ;", "{}).", '"{}",'],
)
def test_pasted_wrapping_is_ignored(wrapping: str) -> None:
    assert parse_post_link(wrapping.format(f"vm.tiktok.com/{CODE}/")).short_code == CODE


@pytest.mark.parametrize("address", HOSTILE)
def test_message_when_it_is_not_a_tiktok_link(address: str) -> None:
    with pytest.raises(PostUrlError, match=r"Post URL (is not a TikTok link|has links)"):
        parse_post_link(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "Post URL is empty"),
        (" \u200b\n", "Post URL is empty"),
        ("https://www.tiktok.com/", "is TikTok's home page, not a post"),
        (
            "https://www.tiktok.com/@nasa",
            "is a profile, not a post. Open the post and",
        ),
        (
            "https://www.tiktok.com/@nasa?lang=en",
            "is a profile, not a post. Open the post and",
        ),
        ("tiktok.com/@nasa/live", "is a live room, not a post"),
        ("tiktok.com/live/123", "is a live room, not a post"),
        ("https://www.tiktok.com/search?q=nasa", "is a search page, not a post"),
        ("https://www.tiktok.com/tag/space", "is a hashtag page, not a post"),
        ("https://www.tiktok.com/music/x-7420633921946782469", "is a sound page, not a post"),
        ("https://www.tiktok.com/@nasa/playlist/x-123", "is a playlist, not a post"),
        (
            "https://www.tiktok.com/about",
            "is another page of TikTok, not a post. Open the post",
        ),
        (f"https://www.tiktok.com/@a/../@b/video/{ID}", "is another page of TikTok"),
        ("https://www.tiktok.com/@a/video/12345", "its post number is too short"),
        (f"https://www.tiktok.com/@a/video/{ID}0", "has an impossible post number"),
        (f"https://www.tiktok.com/@a/video/{ID}00", "has an impossible post number"),
        ("https://www.tiktok.com/@a/video/0681723633164717325", "an impossible post number"),
        ("https://www.tiktok.com/@a/video/٧٦٨١٧٢٣٦٣٣١٦٤٧١٧٣٢٥", "an impossible post number"),
        *(
            (f"https://www.tiktok.com/@x/{cut}", "not complete: its end is missing. Copy the link")
            for cut in ("v", "vi", "vid", "vide/", "p", "ph", "phot?x=1")
        ),
        ("https://www.tiktok.com/@x/video/", "its post number is missing. Copy the link again"),
        ("https://vm.tiktok.com/", "is a short link that is not complete. Copy the link again"),
        ("https://vm.tiktok.com/ZM", "is a short link that is not complete. Copy the link again"),
        ("https://www.tiktok.com/t/", "is a short link that is not complete. Copy the link again"),
        (f"https://vm.tiktok.com/{CODE} https://vm.tiktok.com/{CODE}x", "more than one post"),
        (f"vm.tiktok.com/{CODE}\nvm.tiktok.com/{CODE}x", "more than one post"),
        (f"https://vm.tiktok.com/{CODE},https://vm.tiktok.com/{CODE}x", "more than one post"),
        (f"https://vm.tiktok.com/{CODE}/https://vm.tiktok.com/{CODE}x", "more than one post"),
        (f"https://vm.tiktok.com/{CODE}?a=1https://vm.tiktok.com/{CODE}x", "more than one post"),
        ("x" * 1_000_000, "it has 1000000 characters"),
    ],
)
def test_message_when_the_link_is_not_a_post(address: str, message: str) -> None:
    with pytest.raises(PostUrlError) as caught:
        parse_post_link(address)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("unit", ["https://", "@", "/", " ", "a.", "%3f", "<", "tiktok.com/", "\0"])
def test_megabytes_of_text_are_not_accepted(unit: str) -> None:
    """At this size, what is not linear would not end."""
    with pytest.raises(PostUrlError):
        parse_post_link(unit * (5_000_000 // len(unit)))
    for size in range(1, 2048, 97):
        with pytest.raises(PostUrlError):
            parse_post_link((unit * size)[:2048])


def test_canonical_url_leads_back_to_the_post() -> None:
    assert canonical_url(ID, "nasa", True) == f"https://www.tiktok.com/@nasa/photo/{ID}"
    assert canonical_url(ID, None, False) == f"https://www.tiktok.com/@_/video/{ID}"
    assert canonical_url(ID, "a/b?c", False) == f"https://www.tiktok.com/@a%2Fb%3Fc/video/{ID}"
    assert parse_post_link(canonical_url(ID, "nasa", False)) == PostRef(ID, None, "nasa")


def test_reference_needs_an_id_or_a_code() -> None:
    with pytest.raises(ValueError, match="needs an id"):
        PostRef()


def test_hostile_links_are_never_requested() -> None:
    cut = [f"https://www.tiktok.com/@a/video/{ID[:size]}" for size in range(15, 19)]
    texts = [*HOSTILE, *cut, "https://www.tiktok.com/" + "x" * 1_000_000]

    async def look() -> tuple[list[ScrapeResult], list[str]]:
        results: list[ScrapeResult] = []

        async def settle(result: ScrapeResult, at_first: bool) -> None:
            results.append(result)

        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            looks = ScrapePasses(client, settle)
            for number, text in enumerate(texts):
                await looks.first(a_unit(number, text))
            await looks.end()
            await looks.close()
            return results, site.paths

    results, requested = asyncio.run(look())

    assert requested == []
    assert [result.unit_id for result in results] == list(range(len(texts)))
    assert {(result.result, result.error_kind) for result in results} == {
        ("unavailable", "invalid_row")
    }


def test_hostile_short_link_targets_are_never_requested() -> None:
    targets = [text for text in HOSTILE if text.isascii() and text.isprintable()]
    codes = [f"{CODE}{number}" for number in range(len(targets))]

    async def resolve() -> tuple[list[str], list[str]]:
        async with ScriptedServer() as site, TikTokClient(tiktok_settings(site.url)) as client:
            failures = []
            for code, target in zip(codes, targets):
                site.on(f"/t/{code}/", redirect(target))
                with pytest.raises(PostError) as caught:
                    await client.resolve(PostRef(short_code=code))
                failures.append(caught.value.kind.value)
            return failures, site.paths

    failures, requested = asyncio.run(resolve())

    assert requested == [f"/t/{code}/" for code in codes]
    assert set(failures) <= {"not_a_post", "dead_link", "unknown_status"}


def a_unit(number: int, text: str) -> Unit:
    details = RowDetails(va_url=text, va="Ana", creator="Maya", set_id=1, post_type="NEW")
    due = date(2026, 9, 22)
    key = f"row {number}"
    return Unit(id=number, source_key=key, slot=0, due_date=due, state="pending", details=details)
