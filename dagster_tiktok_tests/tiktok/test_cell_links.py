# ruff: noqa: RUF001 (the ambiguous characters are the inputs)
"""What stands around a link in a cell, and what its post is all the same."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from dagster_tiktok.tiktok.links.post_links import PostRef, PostUrlError, parse_post_link

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
ID, OTHER = "7300000000000000001", "7300000000000000002"
URL = f"https://www.tiktok.com/@user/video/{ID}"
NEW_CODE = "ZP9AbCdEfGhIj-8Kl9M"
ENCODED = f"https%3A%2F%2Fwww.tiktok.com%2F%40user%2Fvideo%2F{ID}"


@pytest.mark.parametrize("code", [NEW_CODE, "ZMabc1234", "a_b~c.d-e", "x" * 64])
@pytest.mark.parametrize(
    "form",
    [
        "https://www.tiktok.com/t/{}/", "https://vm.tiktok.com/{}", "vt.tiktok.com/{}/",
        "https://vx.tiktok.com/{}/", "https://lite.tiktok.com/t/{}/", "({})",
        "see https://vm.tiktok.com/{}/.", "https://www.tiktok.com/t/{}看这个",
    ],
)  # fmt: skip
def test_short_link_codes_of_any_form(form: str, code: str) -> None:
    text = form.format(code if form != "({})" else f"https://vm.tiktok.com/{code}")
    assert parse_post_link(text, now=NOW) == PostRef(short_code=code)


@pytest.mark.parametrize(
    "text",
    [
        f"({URL})", f"[{URL}]", f"{{{URL}}}", f"<{URL}>", f"«{URL}»", f"„{URL}“", f"‘{URL}’",
        f"「{URL}」", f"《{URL}》", f"【{URL}】", f"（{URL}）", f"`{URL}`", f"'{URL}'", f"*{URL}*",
        f"_{URL}_", f"**{URL}**", f"~~{URL}~~", f"“{URL}”.", f"({URL}).", f"- {URL}", f"1) {URL}",
        *(f"{URL}{mark}" for mark in (".", ",", ";", ":", "!", "?", "...", "…", "。", "！", "？",
          "，", "、", "؟", "|", ")", "]", ">", "\"", "'", "\\", "%20", "/.", "?lang=en).")),
        f"Link:{URL}", f"Link: {URL}", f"watch{URL}", f"看这个{URL}", f"url={URL}", f"👉{URL}👈",
        f"{URL}看这个", f"{URL}watch", f"{URL}/watch this", f"{URL} watch this", f"Post:{URL[8:]}",
        f"视频{URL[8:]}", f"({URL[8:]})", f"\u200b{URL}\u200b", f"{URL[:20]}\u200b{URL[20:]}",
        f"\ufeff{URL}\u2060", f"\u202a{URL}\u202c", f"{URL}\xa0", f"\u3000{URL}\u3000",
        f"[watch]({URL})", f"[{URL}]({URL})", f'<a href="{URL}">x</a>', f"{URL} {URL}",
        f"{URL}\n{URL}?is_from_webapp=1", f"{URL},{URL}", f"{URL}{URL}", f"{URL} www.{URL[12:]}",
        f"{URL} https://www.tiktok.com/embed/v2/{ID}", f"{URL} https://www.tiktok.com/@user",
        f"Check out this video! {URL} #fyp via TikTok",
        f"Shared via TikTok Lite: {URL} Get it: https://www.tiktok.com/tiktoklite",
        f"{URL} https://www.instagram.com/p/C8x1abcDEFg/", f"{URL} https://t.co/abc",
        f"{URL}<https://nam02.safelinks.protection.outlook.com/?url={ENCODED}&data=05>",
        f"HTTPS://WWW.TIKTOK.COM/@user/video/{ID}", f"https://www.tiktok.com/en/@user/video/{ID}",
        f"https://www.tiktok.com/zh-Hant/@user/video/{ID}", f"https://www.tiktok.com/video/{ID}",
        f"https://www.tiktok.com/%40user%2Fvideo%2F{ID}", f"{URL} 7300000000",
        f'=HYPERLINK("{URL}","post")', f"{URL} https://www.tiktok.com/@user/video/730000",
    ],
)  # fmt: skip
def test_text_around_the_link_is_ignored(text: str) -> None:
    assert parse_post_link(text, now=NOW).tiktok_id == ID


@pytest.mark.parametrize(
    ("link", "host"),
    [
        (f"https://www.google.com/url?q={URL}&sa=D", "www.google.com"),
        (f"www.google.com/url?q={URL}&sa=D", "www.google.com"),
        (f"https://www.google.co.uk/url?url={ENCODED}", "www.google.co.uk"),
        (f"https://l.facebook.com/l.php?u={ENCODED}&h=AT0", "l.facebook.com"),
        (f"https://lm.facebook.com/l.php?u={ENCODED}", "lm.facebook.com"),
        (f"https://l.instagram.com/?u={ENCODED}&e=AT", "l.instagram.com"),
        (f"https://slack-redir.net/link?url={ENCODED}", "slack-redir.net"),
        (f"https://www.youtube.com/redirect?event=x&q={ENCODED}", "www.youtube.com"),
        (f"https://eur01.safelinks.protection.outlook.com/?url={ENCODED}&data=05%7C01",
         "eur01.safelinks.protection.outlook.com"),
        ("https://urldefense.proofpoint.com/v2/url?u=https-3A__www.tiktok.com_-40user_video_"
         f"{ID}&d=DwMF", "urldefense.proofpoint.com"),
        (f"https://urldefense.com/v3/__{URL}__;!!Abc!x$", "urldefense.com"),
        ("https://t.co/AbCdEf123", "t.co"),
        ("https://bit.ly/3xYzAbC", "bit.ly"),
        (f"https://unknown.example/r?to={ENCODED.replace('%', '%25')}", "unknown.example"),
        (f"https://unknown.example/{URL}", "unknown.example"),
    ],
)  # fmt: skip
def test_message_for_a_wrapped_link(link: str, host: str) -> None:
    for text in (link, f"({link})", f"see {link} please"):
        with pytest.raises(PostUrlError) as caught:
            parse_post_link(text, now=NOW)
        message = str(caught.value)
        assert f"is a link of {host}, not of TikTok: open it, then copy" in message
        assert len(message) < 250


@pytest.mark.parametrize(
    "text",
    [
        f"{URL} https://www.tiktok.com/@user/video/{OTHER}",
        f"{URL}https://www.tiktok.com/@user/video/{OTHER}",
        f"{URL} https://vm.tiktok.com/{NEW_CODE}",
        f"{URL} https://l.facebook.com/l.php?u={ENCODED.replace(ID, OTHER)}",
        f"{URL} https://www.tiktok.com/@user/video/740000000000",
        f"vm.tiktok.com/{NEW_CODE}, vm.tiktok.com/ZMabc1234",
    ],
)
def test_message_for_links_to_several_posts(text: str) -> None:
    with pytest.raises(PostUrlError, match="links to more than one post: keep one"):
        parse_post_link(text, now=NOW)


@pytest.mark.parametrize(
    "number",
    ["730000000000000", "7300000000000000", "73000000000000000", "730000000000000000", "73000"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["https://www.tiktok.com/@u/video/{}", "tiktok.com/embed/v2/{}"])
def test_message_for_a_truncated_id(form: str, number: str) -> None:
    with pytest.raises(PostUrlError, match=r"is not complete.*Copy the link again"):
        parse_post_link(form.format(number), now=NOW)


@pytest.mark.parametrize(
    ("number", "day"),
    [
        ("1000000000000000000", "1977-05-18"),
        ("5275069442094787341", "2008-12-02"),
        ("7730000000000000000", "2027-01-12"),
        ("8910400000000000000", "2035-09-28"),
        ("9208205928595409235", "2037-12-09"),
        (str(int((NOW + timedelta(days=3)).timestamp()) << 32), "2026-11-28"),
    ],
)
@pytest.mark.parametrize("form", ["https://www.tiktok.com/@u/video/{}", "tiktok.com/embed/v2/{}"])
def test_message_for_a_mistyped_id_says_the_day(form: str, number: str, day: str) -> None:
    with pytest.raises(PostUrlError) as caught:
        parse_post_link(form.format(number), now=NOW)
    message = str(caught.value)
    assert f"it is mistyped (the post would be from {day}). Copy the link again" in message
    assert "not complete" not in message


@pytest.mark.parametrize("beginning", ["htp://", "ttps://", "htps://", "htttps://", "hhttps://",
    "tps://", "https:/", "HTP://", "httpss://", "htp:/", "ttp//"])  # fmt: skip
@pytest.mark.parametrize("host", ["www.tiktok.com", "tiktok.com", "m.tiktok.com"])
def test_mistyped_scheme_before_tiktok_is_read(beginning: str, host: str) -> None:
    link = f"{beginning}{host}/@user/video/{ID}"
    for text in (link, f"see ({link})."):
        assert parse_post_link(text, now=NOW) == PostRef(ID, None, "user")
    with pytest.raises(PostUrlError):
        parse_post_link(f"{beginning}{host}.evil.example/@user/video/{ID}", now=NOW)


@pytest.mark.parametrize(
    ("text", "mistyped"),
    [
        (f"https://www.tiktok,com/@user/video/{ID}", '"www.tiktok,com", not "tiktok.com"'),
        (f"www.tiktok,com/@user/video/{ID}", '"www.tiktok,com", not "tiktok.com"'),
        (f"https://www.tikok.com/@user/video/{ID}", '"www.tikok.com", not "tiktok.com"'),
        (f"tikok.com/@user/video/{ID}", '"tikok.com", not "tiktok.com"'),
        (f"https://www.tiktok.co/@user/video/{ID}", '"www.tiktok.co", not "tiktok.com"'),
        (f"https://www.tictok.com/@user/video/{ID}", '"www.tictok.com", not "tiktok.com"'),
        (f"www.tiktokcom/@user/video/{ID}", '"www.tiktokcom", not "tiktok.com"'),
        (f"wwwtikok.com/@user/video/{ID}", '"wwwtikok.com", not "tiktok.com"'),
        (f"see (https://vm.tikok.com/{NEW_CODE})", '"vm.tikok.com", not "tiktok.com"'),
        (f"ftp://www.tiktok.com/@user/video/{ID}", '"ftp://", not "https://"'),
    ],
)
def test_message_for_a_mistyped_beginning(text: str, mistyped: str) -> None:
    with pytest.raises(PostUrlError) as caught:
        parse_post_link(text, now=NOW)
    message = str(caught.value)
    assert f"its beginning is mistyped ({mistyped}). Copy the link again" in message
    assert len(message) < 250


@pytest.mark.parametrize("text", ["see dm", "tiktok", "hello, world", "https://nottiktok.com/x"])
def test_other_text_is_not_called_mistyped(text: str) -> None:
    with pytest.raises(PostUrlError, match=r"is not a TikTok link: "):
        parse_post_link(text, now=NOW)


def test_message_for_a_wrapped_link_that_shows_the_post() -> None:
    with pytest.raises(PostUrlError) as caught:
        parse_post_link(f"https://www.google.com/url?q={URL}", now=NOW)
    assert "(we can't use a link inside another site's link)" in str(caught.value)


def test_clock_may_be_a_day_slow() -> None:
    in_20_hours = int(NOW.timestamp()) + 20 * 3600
    assert parse_post_link(f"tiktok.com/@u/video/{in_20_hours << 32}", now=NOW).tiktok_id
    # A clock that shows a time before this rule was written is wrong.
    assert parse_post_link(URL, now=datetime(2000, 1, 1, tzinfo=timezone.utc)).tiktok_id == ID
