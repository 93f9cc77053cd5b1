"""What hosted Supabase sends when a project is not there for a moment, or for longer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from dagster_tiktok.database.functions import Database, DataRejectedError
from dagster_tiktok.database.service_states import ProjectUnavailableError
from dagster_tiktok.database.supabase import open_supabase
from dagster_tiktok.errors import ConfigurationError, ServiceUnavailableError
from dagster_tiktok.net.retry import is_transient_status
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok_tests.slides.test_store import slide_of
from dagster_tiktok_tests.support.http_server import ScriptedServer
from dagster_tiktok_tests.support.images import jpeg
from dagster_tiktok_tests.support.responses import Respond, image, respond
from dagster_tiktok_tests.support.settings import build_settings

pytestmark = pytest.mark.slow

PUBLIC = "/storage/v1/object/public/"
NOT_THERE = (520, 521, 522, 523, 524, 527, 530, 540, 544, 546)
READ_ONLY = (
    '{"code": "25006", "message": "cannot execute INSERT in a read-only transaction", '
    '"details": null, "hint": null}'
)

_DISK_FULL = (
    '{"code": "53100", "message": "could not extend file: No space left on device", '
    '"details": null, "hint": null}'
)


Reply = tuple[int, str]
"""A status and a body."""


def hosted_supabase(*replies: Reply) -> ScriptedServer:
    """A project that sends the replies in order; the last one stays.

    An object can be read at its public URL.
    """
    server = ScriptedServer(*(reply_with(*reply) for reply in replies))
    server.on(f"{PUBLIC}*", image(jpeg()))
    return server


def reply_with(status: int, body: str) -> Respond:
    kind = "application/json" if body.startswith("{") else "text/html"
    # A short wait, as `Retry-After` asks for it: the policy's own grows to seconds.
    headers = {"Retry-After": "0"} if status >= 400 else {}
    return respond(body, status=status, content_type=kind, headers=headers)


def requests_of(server: ScriptedServer) -> list[str]:
    return [path for path in server.paths if not path.startswith(PUBLIC)]


async def call(hosted: ScriptedServer) -> dict[str, object]:
    async with open_supabase(build_settings(supabase_url=hosted.url)) as client:
        return await Database(client, "UTC").call("schema_version")


async def upload(hosted: ScriptedServer, folder: Path) -> None:
    async with open_slide_store(build_settings(supabase_url=hosted.url)) as store:
        await store.put("7001", 1, slide_of(folder, jpeg()))


@pytest.mark.parametrize("status", NOT_THERE)
def test_a_call_succeeds_after_a_transient_status_of_supabase(status: int) -> None:
    async def run() -> None:
        async with hosted_supabase(
            (status, "<html>error"), (status, ""), (200, '{"version": 1}')
        ) as hosted:
            assert await call(hosted) == {"version": 1}
            assert len(requests_of(hosted)) == 3

    asyncio.run(run())


@pytest.mark.parametrize("status", sorted({*NOT_THERE} - {540}))
def test_a_status_of_supabase_that_stays_means_it_did_not_respond(status: int) -> None:
    async def run() -> None:
        async with hosted_supabase((status, "<html>error")) as hosted:
            with pytest.raises(ServiceUnavailableError, match=rf"did not respond \({status}"):
                await call(hosted)
            assert len(requests_of(hosted)) == 4

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "body", "requests", "cure"),
    [
        (402, '{"message": "exceed_egress_quota"}', 1, r"\(402\).*Billing"),
        (402, "Payment Required", 1, r"\(402\).*Billing"),
        (540, '{"message": "Project paused"}', 4, r"paused \(540\).*restore"),
        # PostgREST responds with 405 to 25006, proxies before it 500.
        (405, READ_ONLY, 1, r"read-only.*\(25006\).*disk"),
        (500, READ_ONLY, 4, r"read-only.*\(25006\).*disk"),
        (503, _DISK_FULL, 4, r"disk is full.*\(53100\)"),
    ],
)
def test_the_message_on_a_known_state_says_how_to_fix_it(
    status: int, body: str, requests: int, cure: str
) -> None:
    async def run() -> None:
        async with hosted_supabase((status, body)) as hosted:
            with pytest.raises(ProjectUnavailableError, match=cure):
                await call(hosted)
            assert len(requests_of(hosted)) == requests

    asyncio.run(run())


_CLOUDFLARE = """<!DOCTYPE html><html class="no-js"><title>Attention Required! | Cloudflare</title>
<h1 data-translate="block_headline">Sorry, you have been blocked</h1>"""


def postgrest_error(code: str, message: str) -> str:
    return json.dumps({"code": code, "details": None, "hint": None, "message": message})


# What stands between us and the tables, and what it sends: (status, body, words of the message).
PASSING = [
    # PostgREST, by its own codes and by those of PostgreSQL.
    (503, postgrest_error("PGRST000", "Could not connect with the database"), "responded with 503"),
    (503, postgrest_error("PGRST001", "Database client error. Retrying the connection."), "503"),
    (503, postgrest_error("PGRST002", "Could not query the database for the schema cache"), "503"),
    (504, postgrest_error("PGRST003", "Timed out acquiring connection from pool."), "504"),
    (500, postgrest_error("57014", "canceling statement due to statement timeout"), "timeout"),
    (503, postgrest_error("53300", "sorry, too many clients already"), "too many clients"),
    (503, postgrest_error("08006", "server closed the connection unexpectedly"), "closed"),
    (500, postgrest_error("57P03", "the database system is starting up"), "starting up"),
    (503, postgrest_error("57P01", "terminating connection due to administrator command"), "503"),
    (500, postgrest_error("40P01", "deadlock detected"), "deadlock"),
    # The same under the status of another version, or of a proxy that changes it.
    (400, postgrest_error("57014", "canceling statement due to statement timeout"), "timeout"),
    (400, postgrest_error("53300", "remaining connection slots are reserved"), "slots"),
    (401, postgrest_error("PGRST001", "Database client error. Retrying the connection."), "client"),
    # Supavisor, which has no code for it.
    (500, postgrest_error("XX000", "Max client connections reached"), "Max client connections"),
    (400, postgrest_error("XX000", "MaxClientsInSessionMode: max clients reached"), "max clients"),
    # Kong.
    (502, '{"message": "An invalid response was received from the upstream server"}', "upstream"),
    (503, '{"message": "name resolution failed"}', "name resolution"),
    (504, '{"message": "The upstream server is timing out"}', "timing out"),
    (429, '{"message": "API rate limit exceeded"}', "429"),
    # Cloudflare: its numbers, and its pages.
    (500, "<html><title>500</title>", "responded with 500"),
    (429, '<html><span class="cf-code-label">Error code 1015</span>', "responded with 429"),
    (530, "error code: 1016", r"did not respond \(530"),
    (520, '{"title": "Error 520: Web server is returning an unknown error"}', "520"),
    (403, _CLOUDFLARE, r"a proxy in front of it rejected the request \(403"),
    (401, "<html>401 Authorization Required", r"a proxy in front of it rejected the request \(401"),
    (403, "error code: 1020", r"a proxy in front of it rejected the request \(403"),
]


@pytest.mark.parametrize(("status", "body", "said"), PASSING)
def test_a_transient_fault_is_retried_and_its_last_error_says_what_was_sent(
    status: int, body: str, said: str
) -> None:
    async def run() -> None:
        async with hosted_supabase(
            (status, body), (status, body), (200, '{"version": 1}')
        ) as hosted:
            assert await call(hosted) == {"version": 1}
            assert len(requests_of(hosted)) == 3
        async with hosted_supabase((status, body)) as hosted:
            with pytest.raises(ServiceUnavailableError, match=said) as raised:
                await call(hosted)
            assert not isinstance(raised.value, (ConfigurationError, DataRejectedError))
            assert len(requests_of(hosted)) == 4

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (401, '{"message": "Invalid API key"}', ConfigurationError, "SUPABASE_KEY"),
        (401, '{"message": "Unregistered API key", "hint": "x"}', ConfigurationError, "KEY"),
        (401, '{"message": "No API key found in request"}', ConfigurationError, "SUPABASE_KEY"),
        (401, postgrest_error("PGRST301", "JWSError"), ConfigurationError, "SUPABASE_KEY"),
        (403, postgrest_error("42501", "permission denied"), ConfigurationError, "SUPABASE_KEY"),
        (404, "<html>404", ConfigurationError, "SUPABASE_URL is not the URL"),
        (404, postgrest_error("PGRST202", "Could not find the function"), ConfigurationError, "ap"),
        # A value may hold any words, also those of a pooler.
        (
            400,
            postgrest_error("22P02", 'invalid input: "too many clients"'),
            DataRejectedError,
            "22P",
        ),
        (409, postgrest_error("23514", "max clients reached"), DataRejectedError, "23514"),
        (200, "<html>A page that is not an error", ServiceUnavailableError, "did not respond"),
    ],
)
def test_a_permanent_error_is_not_retried_and_names_what_to_change(
    status: int, body: str, error: type[Exception], said: str
) -> None:
    async def run() -> None:
        async with hosted_supabase((status, body)) as hosted:
            with pytest.raises(error, match=said):
                await call(hosted)
            assert len(requests_of(hosted)) == 1

    asyncio.run(run())


def storage_error(status: int, message: str = "x") -> tuple[int, str]:
    """The storage responds with 400; the status that counts is in the body."""
    return 400, f'{{"statusCode": "{status}", "error": "x", "message": "{message}"}}'


@pytest.mark.parametrize(
    "fault",
    [
        *((status, "") for status in NOT_THERE),
        *(storage_error(status) for status in (423, 429, 500, 502, 503, 504, 544)),
        storage_error(400, "Missing tenant config for tenant abcdefghijkl"),
        storage_error(404, "Tenant config for abcdefghijkl not found"),
        storage_error(400, "Timeout acquiring a connection from the pool"),
        storage_error(400, "remaining connection slots are reserved for roles"),
        # The new form of its errors: a name, and no status in the body.
        (400, '{"code": "DatabaseTimeout", "message": "The connection timed out"}'),
        (400, '{"code": "SlowDown", "message": "Please reduce your request rate"}'),
        (423, '{"code": "ResourceLocked", "message": "The resource is locked"}'),
        (403, _CLOUDFLARE),
        (429, "<html>Error code 1015"),
        (413, '{"statusCode": "429", "error": "SlowDown", "message": "x"}'),
    ],
)
def test_an_upload_is_sent_again_after_a_transient_fault(
    fault: tuple[int, str], tmp_path: Path
) -> None:
    async def run() -> None:
        async with hosted_supabase(fault, fault, (200, '{"Key": "a", "Id": "b"}')) as hosted:
            await upload(hosted, tmp_path)
            assert len(requests_of(hosted)) == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "cure"),
    [
        (storage_error(402), "Billing"),
        ((540, ""), "restore"),
        (storage_error(500, "cannot execute INSERT in a read-only transaction"), "disk"),
        (storage_error(500, "could not extend file: No space left on device"), "53100.*disk"),
    ],
)
def test_a_known_state_during_an_upload_is_not_blamed_on_the_slide(
    fault: tuple[int, str], cure: str, tmp_path: Path
) -> None:
    async def run() -> None:
        async with hosted_supabase(fault) as hosted:
            with pytest.raises(ProjectUnavailableError, match=cure):
                await upload(hosted, tmp_path)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "passes"),
    [(400, False), (402, False), (408, True), (429, True), (501, False), (505, False), (599, True)],
)
def test_an_unknown_status_is_transient(status: int, passes: bool) -> None:
    assert is_transient_status(status) is passes
