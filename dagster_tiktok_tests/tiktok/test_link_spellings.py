# ruff: noqa: RUF001 (the ambiguous characters are the inputs)
"""A link that is escaped, encoded, in full width or damaged where it begins is the link it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from urllib.parse import quote

import pytest

from dagster_tiktok.tiktok.links.post_links import PostRef, PostUrlError, parse_post_link

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
ID, OTHER = "7300000000000000001", "7300000000000000002"
PATH = f"www.tiktok.com/@user/video/{ID}"
URL = f"https://{PATH}"
ENCODED = f"https%3A%2F%2Fwww.tiktok.com%2F%40user%2Fvideo%2F{ID}"
CODE = "ZP9AbCdEfGhIj-8Kl9M"


def encoded(text: str) -> str:
    return quote(text, safe="")


def wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


def json_escaped(text: str) -> str:
    return text.replace("/", "\\/")


def code_points(text: str) -> str:
    return text.replace("/", "\\u002F").replace("@", "\\u0040")


def html_escaped(text: str) -> str:
    return text.replace("/", "&#x2F;").replace("@", "&#64;").replace(":", "&colon;")


PERCENT_ENCODED = [
    ENCODED, ENCODED.lower(), ENCODED.replace(".", "%2E"), f"({ENCODED})", f"url={ENCODED}",
    f"see {ENCODED} please", f"Check%20this%20{ENCODED}%20bye", f"{ENCODED}%3Flang%3Den",
    f"https%3A//{PATH}", f"https:%2F%2F{PATH}", encoded(PATH), f"https://{encoded(PATH)}",
    encoded(f"m.tiktok.com/v/{ID}.html"), f"{ENCODED} {ENCODED}", f"{URL} {ENCODED}",
]  # fmt: skip
JSON_ESCAPED = [
    json_escaped(URL), f'"{json_escaped(URL)}"', f'{{"url":"{json_escaped(URL)}","x":1}}',
    code_points(URL), code_points(URL).replace("002F", "002f"), URL.replace("/", "\\x2F"),
    URL.replace("/", "\\\\/"), URL.replace("/", "\\"),
]  # fmt: skip
HTML_ESCAPED = [
    html_escaped(URL), URL.replace("/", "&#47;"), URL.replace("/", "&sol;"), f"{URL}&nbsp;",
    f"&lt;a href=&quot;{URL}&quot;&gt;x&lt;/a&gt;", f"&quot;{URL}&quot;", f"{URL}?a=1&amp;b=2",
    f"{URL}&amp;b=2", f"&lt;{URL}&gt;",
]  # fmt: skip
FULL_WIDTH = [
    wide(URL), URL.replace("://", "：//"), URL.replace("://", "：／／"), URL.replace("/", "／"),
    URL.replace(".", "．"), URL.replace(".", "。"), URL.replace("@", "＠"),
    URL.replace(ID, wide(ID)), f"ｈｔｔｐｓ：／／{PATH}", wide("www.tiktok.com") + PATH[14:],
    f"看：{URL}", f"（{URL}）", f"{URL}，看", f"{URL}。看", f"{URL}？看", f"{URL}／看",
    f"（{wide(URL)}）",
]  # fmt: skip
DAMAGED_SCHEME = [
    *(start + PATH for start in (
        "https:/", "http:/", "https:", "https:///", "https//", "https;//", "https: //",
        "https:// ", "https :// ", "https://https://", "http://https://", "https://http://",
        "https:/https://", "https//https://", "https://https://https://", "HTTPS:/", "(http:/",
        "//", "/", "url=", "href=", "@",
    )),
]  # fmt: skip
LINE_BREAKS = [
    f"https://www.tiktok.com/\n@user/video/{ID}", f"https://www.tiktok.com/@user/\nvideo/{ID}",
    f"https://www.tiktok.com/@user\r\n/video/{ID}", f"https://www.tiktok.com/@user/video/\n{ID}",
    f"https://www.tiktok.com/@user/video/ {ID}", f"https://\n{PATH}",
    f"www.tiktok.com /@user/video/{ID}", f"https://www.tiktokv.us/share/video/{ID}/",
    f"Title\n{URL}\nText",
]  # fmt: skip
UNSEEN = [
    *(URL[:30] + sign + URL[30:] for sign in "\u200b\u200d\u2060\ufeff\u00ad\ufe0f\u034f\u3164"),
    f"\u2800{URL}\u2800", f"\ufffc{URL}", f"▶\ufe0f{PATH}", f"{PATH[:9]}\u200b{PATH[9:]}",
]  # fmt: skip
MARKUP = [
    f"[text]({URL})", f"[text](<{URL}>)", f'[text]({URL} "title")', f"[1]: {URL}", f"![]({URL})",
    f"<{URL}|watch>", f"[url={URL}]x[/url]", f"[url]{URL}[/url]", f"[[{URL}|x]]", f"[[{URL}][x]]",
    f"`x <{URL}>`_", f"\\url{{{URL}}}", f"\\href{{{URL}}}{{x}}", f'""{URL}""', f"['{URL}']",
    f"<{PATH}>", f"Data:{URL}", f"metadata:{URL}", f"File: {URL}",
]  # fmt: skip
QUOTES = [
    "„“", "“”", "‘’", "‚‘", "«»", "»«", "‹›", "「」", "『』", "〝〞", "《》", "〈〉", "【】",
    "〔〕", "＂＂", "＇＇", "´´", "″″", "′′", "❝❞", "⟨⟩", "\u2329\u232a", "﹁﹂", "﹃﹄", "⸨⸩",
    "⦅⦆", "﴾﴿", "｢｣", "＜＞", "｛｝", "［］", "ʻʼ", "״״", "׳׳",
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *PERCENT_ENCODED, *JSON_ESCAPED, *HTML_ESCAPED, *FULL_WIDTH, *DAMAGED_SCHEME, *LINE_BREAKS,
        *UNSEEN, *MARKUP,
    ],
)  # fmt: skip
def test_link_in_any_spelling_is_read(text: str) -> None:
    assert parse_post_link(text, now=NOW).tiktok_id == ID


@pytest.mark.parametrize("quotes", QUOTES)
def test_quotes_of_any_script_end_the_link(quotes: str) -> None:
    opening, closing = quotes[0], quotes[1]
    for link in (URL, PATH, f"{URL}?lang=en"):
        assert parse_post_link(f"{opening}{link}{closing}", now=NOW).tiktok_id == ID
    text = f"{opening}https://vm.tiktok.com/{CODE}{closing}"
    assert parse_post_link(text, now=NOW) == PostRef(short_code=CODE)


@pytest.mark.parametrize(
    "text",
    [
        encoded(f"https://vm.tiktok.com/{CODE}/"), json_escaped(f"https://vm.tiktok.com/{CODE}/"),
        f"https://vm.tiktok.com/{CODE}".replace("-", "\u2011"), f"&quot;vm.tiktok.com/{CODE}&quot;",
        f"https://vm.tiktok.com/{CODE}".replace("-", "－"), f"https:/vm.tiktok.com/{CODE}",
        f"https://vm.tiktok.com/{CODE}".replace("-", "-\n"), f"vm。tiktok。com/{CODE}",
        f"https://www.tiktok.com/t/{CODE}/。", f"https://https://www.tiktok.com/t/{CODE}/",
    ],
)  # fmt: skip
def test_short_link_in_any_spelling_keeps_its_code(text: str) -> None:
    assert parse_post_link(text, now=NOW) == PostRef(short_code=CODE)


HOSTILE = [
    f"https://www.tiktok.com@evil.example/@a/video/{ID}",
    f"https://user:word@www.tiktok.com/@a/video/{ID}",
    f"https://tiktok.com.evil.example/@a/video/{ID}",
    f"https://evil.example/@www.tiktok.com/video/{ID}",
    f"https://evil.example/{URL}",
    f"https://www.tiktok.com@evil.example/{URL}",
    f"https://evil.example?u={URL}",
    f"https://evil.example/www.tiktok.com/@a/video/{ID}",
    f"https://evil.example\\@www.tiktok.com/@a/video/{ID}",
    f"https://www.tiktok.com%2eevil.example/@a/video/{ID}",
    f"https://www.tiktok.com:8080/@a/video/{ID}",
    f"https://xn--tiktk-8ta.com/@a/video/{ID}",
    f"https://www.tikt\u043ek.com/@a/video/{ID}",
    f"https://www.\uff54iktok.com/@a/video/{ID}",
    f"http://169.254.169.254/@a/video/{ID}",
    f"https://[::1]/@a/video/{ID}",
    f"javascript:{URL}",
    f"javascript:alert(1)//{PATH}",
    f"data:text/html,{URL}",
    f"file:///{PATH}",
    f"ftp://{PATH}",
]
WRITINGS: list[Callable[[str], str]] = [
    str,
    encoded,
    json_escaped,
    code_points,
    html_escaped,
    lambda text: text.replace("://", ":/"),
    lambda text: f"https://{text}",
    lambda text: text.replace("/", "\\"),
    lambda text: text.replace("/", "/\n"),
    lambda text: wide(text) if "\uff54" not in text else text,
]


@pytest.mark.parametrize("link", HOSTILE)
def test_hostile_link_in_any_spelling_is_not_accepted(link: str) -> None:
    for write in WRITINGS:
        with pytest.raises(PostUrlError):
            parse_post_link(write(link), now=NOW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (encoded(encoded(URL)), "is encoded more than once: open the post"),
        (f"unknown.example/r?to={ENCODED}", "is a link of unknown.example"),
        (
            encoded(f"https://l.facebook.com/l.php?u={ENCODED}"),
            "is a link of l.facebook",
        ),
        ("bit.ly/3xYzAbC", "is a link of bit.ly"),
        (f"{URL},{ENCODED.replace(ID, OTHER)}", "links to more than one post"),
        (f"{json_escaped(URL)} {encoded(URL.replace(ID, OTHER))}", "links to more than one post"),
        (f"https://www.tiktok.com/@user/video/{ID[:9]}\n{ID[9:]}", "is not complete"),
        (encoded(URL[:-3]), "is not complete"),
        (json_escaped(URL[:-3]), "is not complete"),
        ("https://www.tiktok.com/t/ please", "is a short link that is not complete"),
        (encoded("https://www.tiktok.com/@user"), "is a profile, not a post"),
    ],
)
def test_message_when_another_spelling_names_no_post(text: str, message: str) -> None:
    with pytest.raises(PostUrlError) as caught:
        parse_post_link(text, now=NOW)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "unit",
    ["%2F", "https%3A%2F%2F", "\\/", "&#47;", "https:/", "https://https://", "/\n", "ｈｔｔｐ：",
     "www.tiktok.com%2F", "vm.tiktok.com/\n", "\u200b", "data:", "a.", "ｗ．", "。"],
)  # fmt: skip
def test_cell_full_of_one_spelling_parses_in_bounded_time(unit: str) -> None:
    """At this length, what is not about linear would not end."""
    with pytest.raises(PostUrlError):
        parse_post_link((unit * 2048)[:2048], now=NOW)
