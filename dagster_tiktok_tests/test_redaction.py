"""No secret leaves through an error, whatever a server or a proxy repeats of the request."""

from __future__ import annotations

import asyncio
import json
import zlib
from pathlib import Path

import pytest
from aiohttp import web

from dagster_tiktok.database import supabase as supabase_client
from dagster_tiktok.database.functions import Database
from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.redaction import redacted, redacted_body, told
from dagster_tiktok.settings import Settings
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.processes import invoke_command
from dagster_tiktok_tests.support.responses import respond
from dagster_tiktok_tests.support.settings import build_settings

pytestmark = pytest.mark.slow

KEY = "sb_secret_TOPSECRETKEYVALUE1234567890"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.TOPSECRETsignature"

TEXTS = (
    # Text, what is told of it.
    (f"apikey={KEY} Authorization=Bearer {KEY}", "apikey=[hidden] Authorization=[hidden]"),
    (f"proxy log: {JWT}, retry", "proxy log: [hidden], retry"),
    # Cut in the middle, by us or by the server.
    (f"proxy log: {KEY[:25]}", "proxy log: [hidden]"),
    (f"proxy log: {JWT[:15]}", "proxy log: [hidden]"),
    ("sent Bearer TOPSECRETopaque.token", "sent Bearer [hidden]"),
    ("token ya29.TOPSECRET-x_y", "token [hidden]"),
    ("to postgresql://postgres:TOPSECRET@db.example.com:5432/x", "[hidden]@db.example.com"),
    ("https://hooks.slack.com/services/T0/B0/TOPSECRET", "[hidden]"),
    ("-----BEGIN PRIVATE KEY-----\nTOPSECRET\n-----END PRIVATE KEY-----", "[hidden]"),
    ('{"authorization": "Basic VE9QU0VDUkVU"}', '{"authorization": "[hidden]"}'),
    ("x?apikey%3Dsb_secret_TOPSECRET&b=1", "[hidden]&b=1"),
    # Of a page the title, or its first words.
    ("<html><head><title>403 Forbidden</title></head><p>TOPSECRET", "403 Forbidden"),
    (f"<p>Blocked by proxy. apikey={KEY}</p>", "Blocked by proxy. apikey=[hidden]"),
    ("<style>TOPSECRET</style><b>Access</b> denied", "Access denied"),
    # What Supabase and Google say themselves stays as it is.
    ("Invalid API key", "Invalid API key"),
    ("JWT expired", "JWT expired"),
    ('duplicate key value violates "x_key"', 'duplicate key value violates "x_key"'),
)


@pytest.mark.parametrize(("text", "wanted"), TEXTS)
def test_a_secret_in_a_text_is_hidden(text: str, wanted: str) -> None:
    assert wanted in told(text)
    assert "TOPSECRET" not in told(text) + redacted_body(text.encode()).decode()
    assert "<" not in told(text)


def test_a_configured_secret_is_hidden_in_every_form() -> None:
    secret = 'https://hook.example/a b"c'
    quoted = "https%3A%2F%2Fhook.example%2Fa%20b%22c"
    texts = [secret, quoted, json.dumps({"webhook": secret})]
    assert not any("hook.example" in redacted(text, [secret]) for text in texts)


def test_redaction_keeps_the_code_and_words_of_a_json_error() -> None:
    body = {"code": "22P02", "message": f"bad {KEY}", "details": [{"x": JWT}], "hint": None}
    assert json.loads(redacted_body(json.dumps(body).encode())) == {
        "code": "22P02",
        "message": "bad [hidden]",
        "details": [{"x": "[hidden]"}],
        "hint": None,
    }


def echoing(status: int, form: str) -> ScriptedServer:
    """Repeats the request's headers, as some proxies do."""

    async def handle(request: web.Request) -> web.Response:
        told_headers = f"apikey={request.headers.get('apikey')} {request.headers!r}"
        body = {
            "html": f"<p>Blocked by proxy. {told_headers}</p>",
            "text": told_headers,
            "json": json.dumps({"message": f"blocked {told_headers}", "code": "X"}),
            "storage": json.dumps({"statusCode": "403", "error": "x", "message": told_headers}),
        }[form]
        kind = "text/html" if form == "html" else "text/plain" if form == "text" else None
        return web.Response(
            status=status,
            text=body,
            content_type=kind or "application/json",
            headers={"Retry-After": "0", "Location": f"/x?{KEY}"},
        )

    return ScriptedServer(handle)


def settings_of(url: str, key: str = KEY) -> Settings:
    return build_settings(supabase_url=url, supabase_key=key)


def everything_of(error: BaseException | None) -> str:
    """The error's text and those of its causes: Dagster keeps the whole chain."""
    texts = []
    while error is not None:
        texts.append(f"{error} {getattr(error, 'args', '')} {vars(error)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " ".join(texts)


ECHOES = [
    (status, form)
    for status in (200, 302, 400, 401, 402, 403, 404, 500, 503, 540)
    for form in ("html", "text", "json", "storage")
]


@pytest.mark.parametrize(("status", "form"), ECHOES)
def test_no_error_has_the_key_when_a_server_echoes_the_request(status: int, form: str) -> None:
    async def errors() -> list[BaseException]:
        found: list[BaseException] = []
        async with echoing(status, form) as server:
            settings = settings_of(server.url)
            try:
                async with open_supabase(settings, attempts=2) as client:
                    await Database(client, "UTC").check_schema()
            except (ConfigurationError, ServiceUnavailableError, KeyError) as error:
                found.append(error)
            try:
                async with open_slide_store(settings, attempts=2) as store:
                    await store.check()
            except (ConfigurationError, ServiceUnavailableError) as error:
                found.append(error)
        return found

    found = asyncio.run(errors())
    assert found
    text = " ".join(everything_of(error) for error in found)
    assert "TOPSECRET" not in text
    assert "<" not in " ".join(str(error) for error in found)


@pytest.mark.parametrize(("status", "form"), [(403, "html"), (403, "json"), (500, "json")])
@pytest.mark.parametrize("command", [["doctor"], ["run", "--json"]])
def test_no_command_prints_the_key_when_a_proxy_echoes_the_request(
    tmp_path: Path, command: list[str], status: int, form: str
) -> None:
    with echoing(status, form) as server:
        env = tmp_path / "env"
        env.write_text(
            f"SUPABASE_URL={server.url}\nSUPABASE_KEY={KEY}\n"
            "GOOGLE_SHEETS_CREDENTIALS=./none.json\n"
            "GOOGLE_SHEET_URL=https://docs.google.com/spreadsheets/d/unused-unused/edit\n"
            f"TIKTOK_BASE_URL={server.url}\nSLIDE_CACHE_DIR={tmp_path}/cache\n"
        )
        result = invoke_command(*command, "--env-file", str(env))
    assert result.exit_code in (1, 2)
    output = result.output + everything_of(result.exception)
    assert "TOPSECRET" not in output
    assert "<p>" not in output


async def flood(
    request: web.Request, status: int, size: int, sent: list[int]
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Retry-After": "0"})
    response.content_type = "application/json"
    await response.prepare(request)
    piece = b" " * 2**20
    try:
        for _ in range(size):
            await response.write(piece)
            sent.append(len(piece))
    except ConnectionError:
        pass  # the client has gone: that is what is asked for
    return response


@pytest.mark.parametrize(
    ("status", "most_mb"),
    [
        # An error is cut after 64 kB: what is under way in buffers of the sockets comes on top.
        (500, 4 * 16),
        (403, 16),
        # A success is given up past its limit, once.
        (200, supabase_client.MAX_RESPONSE_BYTES / 2**20 + 16),
    ],
)
def test_only_the_beginning_of_an_endless_body_is_read(status: int, most_mb: float) -> None:
    sent: list[int] = []

    async def run() -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await flood(request, status, 500, sent)

        async with (
            ScriptedServer(handle) as server,
            open_supabase(settings_of(server.url)) as client,
        ):
            with pytest.raises((ServiceUnavailableError, ConfigurationError)):
                await Database(client, "UTC").call("schema_version")

    asyncio.run(run())
    assert sum(sent) / 2**20 <= most_mb


def test_a_compressed_body_that_unpacks_to_too_much_is_not_accepted() -> None:
    packing = zlib.compressobj(wbits=31)
    packed = packing.compress(b" " * (supabase_client.MAX_RESPONSE_BYTES + 1)) + packing.flush()

    async def run() -> None:
        async with (
            ScriptedServer(respond(packed, headers={"Content-Encoding": "gzip"})) as server,
            open_supabase(settings_of(server.url)) as client,
        ):
            with pytest.raises(ServiceUnavailableError, match="more than 67,108,864 bytes"):
                await Database(client, "UTC").call("schema_version")

    asyncio.run(run())
