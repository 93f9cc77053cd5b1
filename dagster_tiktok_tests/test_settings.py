from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_tiktok.errors import ConfigurationError
from dagster_tiktok.settings import (
    BackupSettings,
    Settings,
    load_definition_settings,
    load_settings,
)

SHEET = "https://docs.google.com/spreadsheets/d/1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789/edit"


def env_file(tmp_path: Path, **changes: str | None) -> Path:
    values: dict[str, str | None] = {
        "SUPABASE_URL": "https://example.supabase.co",
        "SUPABASE_KEY": "sb_secret_abc",
        "GOOGLE_SHEETS_CREDENTIALS": "/nowhere/account.json",
        "GOOGLE_SHEET_URL": f"{SHEET}#gid=42",
        **changes,
    }
    path = tmp_path / "env"
    path.write_text("".join(f"{k}={v}\n" for k, v in values.items() if v is not None))
    return path


def token(role: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"role": role}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{claims}.c2lnbmF0dXJl"


def rejection(tmp_path: Path, **changes: str | None) -> str:
    with pytest.raises(ConfigurationError) as error:
        load_settings(env_file(tmp_path, **changes))
    return str(error.value)


def test_other_variables_have_the_documented_defaults(tmp_path: Path) -> None:
    settings = load_settings(env_file(tmp_path))

    (sheet,) = settings.sheets
    assert (sheet.spreadsheet_id, sheet.gid) == ("1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", 42)
    assert settings.tiktok_requests_per_second == 1
    assert settings.slide_requests_per_second == 0
    assert settings.slide_allowed_hosts == (
        "tiktokcdn.com",
        "tiktokcdn-us.com",
        "tiktokcdn-eu.com",
    )
    assert settings.pipeline_max_posts_per_run == 2000


def test_every_missing_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_settings(tmp_path / "no-such-file")

    for name in (
        "SUPABASE_URL",
        "SUPABASE_KEY",
        "GOOGLE_SHEETS_CREDENTIALS",
        "GOOGLE_SHEET_URL",
    ):
        assert f"{name} is not set" in str(error.value)


def test_an_environment_variable_wins_over_the_file(tmp_path: Path) -> None:
    path = env_file(tmp_path, PIPELINE_TIMEZONE="Europe/Berlin")
    code = f"from dagster_tiktok.settings import *; print(load_settings({str(path)!r}).timezone)"

    output = subprocess.run(
        [sys.executable, "-c", code],
        env={"PIPELINE_TIMEZONE": "Asia/Manila", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert output.strip() == "Asia/Manila"


@pytest.mark.parametrize("key", ["sb_publishable_abc", token("anon"), token("authenticated")])
def test_a_key_that_cannot_write_is_not_accepted_and_not_repeated(tmp_path: Path, key: str) -> None:
    message = rejection(tmp_path, SUPABASE_KEY=key)

    assert "SUPABASE_KEY is a publishable key" in message
    assert key not in message


@pytest.mark.parametrize("key", ["sb_secret_abc", token("service_role")])
def test_a_secret_key_of_either_kind_is_accepted(tmp_path: Path, key: str) -> None:
    settings = load_settings(env_file(tmp_path, SUPABASE_KEY=key))

    assert settings.supabase_key.get_secret_value() == key
    assert key not in repr(settings)


@pytest.mark.parametrize(
    ("before", "after", "gid"),
    [
        ("/spreadsheets/", "?gid=0#gid=5", 5),
        ("/spreadsheets/", "?usp=sharing&gid=5", 5),
        ("/spreadsheets/u/1/", "#gid=5", 5),
        ("/a/agency.example/spreadsheets/", "#gid=5", 5),
        ("/spreadsheets/", "?usp=sharing", None),
    ],
)
def test_sheet_and_tab_are_read_from_a_url_as_browsers_show_it(
    tmp_path: Path, before: str, after: str, gid: int | None
) -> None:
    url = SHEET.replace("/spreadsheets/", before) + after
    settings = load_settings(env_file(tmp_path, GOOGLE_SHEET_URL=url))

    (sheet,) = settings.sheets
    assert (sheet.spreadsheet_id, sheet.gid) == ("1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", gid)


OTHER = SHEET.replace("1AbC", "2XyZ")


def test_each_of_several_urls_is_a_sheet(tmp_path: Path) -> None:
    path = env_file(tmp_path, GOOGLE_SHEET_URL=f"'{SHEET}#gid=0 \t{SHEET}#gid=7   {OTHER}'")
    sheets = load_settings(path).sheets

    assert [(s.spreadsheet_id[:4], s.gid, s.name) for s in sheets] == [
        ("1AbC", 0, "sheet 1 of GOOGLE_SHEET_URL"),
        ("1AbC", 7, "sheet 2 of GOOGLE_SHEET_URL"),
        ("2XyZ", None, "sheet 3 of GOOGLE_SHEET_URL"),
    ]
    assert len({sheet.source for sheet in sheets}) == 3


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        # the same tab, whatever else stands in the URL
        (f"{SHEET}#gid=0 {OTHER} {SHEET}?usp=sharing#gid=0", "its URLs 1 and 3 are the same"),
        (f"{OTHER} {OTHER}", "its URLs 1 and 2 are the same"),
        # the first tab is most likely gid 0
        (f"{SHEET} {SHEET}#gid=0", "its URLs 1 and 2 lead to one spreadsheet"),
        (f"{SHEET}#gid=0 https://example.com/SECRET", "(URL 2) must be the sheet's URL"),
        (f"{SHEET}#gid=0 {OTHER}#gid=x", "(URL 2) must end in a gid that is a number"),
    ],
)
def test_a_wrong_url_of_several_is_named_by_its_number(
    tmp_path: Path, urls: str, expected: str
) -> None:
    text = rejection(tmp_path, GOOGLE_SHEET_URL=f"'{urls}'")

    assert "GOOGLE_SHEET_URL" in text and expected in text
    assert "SECRET" not in text


def test_white_space_around_the_key_is_removed(tmp_path: Path) -> None:
    # An HTTP library quotes a header value that it rejects: the key would stand in an error.
    settings = load_settings(env_file(tmp_path, SUPABASE_KEY='"sb_secret_abc \\r"'))

    assert settings.supabase_key.get_secret_value() == "sb_secret_abc"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_KEY", "sb_secret_abc\u00e9"),
        ("SUPABASE_KEY", "sb_secret_abc def"),
        ("ALERT_WEBHOOK_URL", "foo"),
        ("SLIDE_ALLOWED_HOSTS", ","),
        ("TIKTOK_USER_AGENT", '"a\\tb"'),
        ("TIKTOK_BASE_URL", "https://user:password@www.tiktok.com"),
        ("SLIDE_MAX_MB", "lots"),
        ("SUPABASE_URL", "example"),
        ("GOOGLE_SHEET_URL", "https://docs.google.com/document/d/abc"),
        ("GOOGLE_SHEET_URL", f"{SHEET}#gid={'9' * 5000}"),
        ("TIKTOK_REQUESTS_PER_SECOND", "-1"),
        ("TIKTOK_REQUESTS_PER_SECOND", "nan"),
        ("TIKTOK_REQUESTS_PER_SECOND", "1e-9"),
        ("TIKTOK_USER_AGENT", '" "'),
        ("TIKTOK_USER_AGENT", "a" * 20_000),
        ("TIKTOK_MAX_CONCURRENCY", "0"),
        ("SLIDE_REQUESTS_PER_SECOND", "-1"),
        ("SLIDE_REQUESTS_PER_SECOND", "inf"),
        ("PIPELINE_TIMEZONE", "Berlin"),
        ("PIPELINE_TIMEZONE", "../../etc/passwd"),
        ("PIPELINE_MIN_SUCCESS_RATE", "95"),
        ("SUPABASE_KEY", "my-password-1234"),
    ],
)
def test_the_message_on_a_wrong_value_names_the_variable_and_not_the_value(
    tmp_path: Path, name: str, value: str
) -> None:
    message = rejection(tmp_path, **{name: value})

    assert message.startswith(name)
    assert "\n" not in message
    assert "my-password-1234" not in message


def test_the_definitions_report_a_wrong_time_zone(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PIPELINE_TIMEZONE must be a time zone"):
        load_definition_settings(env_file(tmp_path, PIPELINE_TIMEZONE="Berlin"))


def test_the_example_file_names_every_setting_and_no_other() -> None:
    example = (Path(__file__).parents[1] / ".env.example").read_text()
    names = {
        line.lstrip("# ").split("=")[0]
        for line in example.splitlines()
        if "=" in line and line.lstrip("# ").split("=")[0].isupper()
    }

    fields = {*Settings.model_fields, *BackupSettings.model_fields}
    assert names == {name.upper() for name in fields}


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        (
            '"Post URL=TikTok Link; VA=Assigned To; Set ID=Set #"',
            {"Post URL": "TikTok Link", "VA": "Assigned To", "Set ID": "Set #"},
        ),
        ("post_url = Link=here ;", {"Post URL": "Link=here"}),
        ("", {}),
    ],
)
def test_configured_headers_are_known_by_column(
    tmp_path: Path, value: str, columns: dict[str, str]
) -> None:
    assert load_settings(env_file(tmp_path, GOOGLE_SHEET_COLUMNS=value)).google_sheet_columns == (
        columns
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("TikTok Link", 'must be written like "Post URL=TikTok Link; VA=Assigned To"'),
        ("VA=", 'but holds "VA="'),
        ("Manager=Boss", 'a column "Manager" that is not known; the known ones are Post URL'),
        ("VA=A; va=B", 'names the column "VA" twice'),
        ("VA=Name; Creator=name", 'gives "VA" and "Creator" the same header "name"'),
    ],
)
def test_the_message_says_why_headers_are_not_accepted(
    tmp_path: Path, value: str, words: str
) -> None:
    message = rejection(tmp_path, GOOGLE_SHEET_COLUMNS=value)
    assert message.startswith("GOOGLE_SHEET_COLUMNS ")
    assert words in message
