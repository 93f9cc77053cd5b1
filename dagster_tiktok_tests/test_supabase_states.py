"""What hosted Supabase sends when a project is not there for a moment, or for longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from dagster_tiktok.database import Database
from dagster_tiktok.errors import ServiceUnavailable
from dagster_tiktok.retry import may_pass
from dagster_tiktok.settings import Settings, load_settings
from dagster_tiktok.slides.store import open_slide_store
from dagster_tiktok.supabase_client import open_supabase
from dagster_tiktok.supabase_states import ProjectUnavailable
from dagster_tiktok_tests.slides.pictures import jpeg
from dagster_tiktok_tests.slides.test_store import slide_of

NOT_THERE = (520, 521, 522, 523, 524, 527, 530, 540, 544, 546)
READ_ONLY = (
    '{"code": "25006", "message": "cannot execute INSERT in a read-only transaction", '
    '"details": null, "hint": null}'
)


class Hosted:
    """Answers every request with the next of `replies` (status, body); the last one stays.

    What was uploaded can be read at its public URL.
    """

    def __init__(self, *replies: tuple[int, str]) -> None:
        self._replies = list(replies)
        self.requests: list[str] = []

    async def __aenter__(self) -> Hosted:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def settings(self) -> Settings:
        return load_settings(
            None,
            supabase_url=f"http://127.0.0.1:{self._runner.addresses[0][1]}",
            supabase_key="sb_secret_x",
            google_sheets_credentials="unused",
            google_sheet_url="https://docs.google.com/spreadsheets/d/unused-unused/edit",
        )

    async def _handle(self, request: web.Request) -> web.Response:
        await request.read()
        if request.path.startswith("/storage/v1/object/public/"):
            return web.Response(body=jpeg(), content_type="image/jpeg")
        self.requests.append(f"{request.method} {request.path}")
        status, body = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        kind = "application/json" if body.startswith("{") else "text/html"
        # A short wait, as `Retry-After` asks for it: the policy's own grows to seconds.
        headers = {"Retry-After": "0"} if status >= 400 else {}
        return web.Response(status=status, text=body, content_type=kind, headers=headers)


async def call(hosted: Hosted) -> dict[str, object]:
    async with open_supabase(hosted.settings) as client:
        return await Database(client, "UTC").call("schema_version")


async def upload(hosted: Hosted, folder: Path) -> None:
    async with open_slide_store(hosted.settings) as store:
        await store.put("7001", 1, slide_of(folder, jpeg()))


@pytest.mark.parametrize("status", NOT_THERE)
def test_given_a_status_of_supabase_s_own_when_it_passes_then_the_call_succeeds(
    status: int,
) -> None:
    async def run() -> None:
        async with Hosted((status, "<html>error"), (status, ""), (200, '{"version": 1}')) as hosted:
            assert await call(hosted) == {"version": 1}
            assert len(hosted.requests) == 3

    asyncio.run(run())


@pytest.mark.parametrize("status", sorted({*NOT_THERE} - {540}))
def test_given_a_status_of_supabase_s_own_when_it_stays_then_it_did_not_answer(
    status: int,
) -> None:
    async def run() -> None:
        async with Hosted((status, "<html>error")) as hosted:
            with pytest.raises(ServiceUnavailable, match=rf"did not answer \({status}"):
                await call(hosted)
            assert len(hosted.requests) == 4

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "body", "requests", "cure"),
    [
        (402, '{"message": "exceed_egress_quota"}', 1, r"\(402\).*Billing"),
        (402, "Payment Required", 1, r"\(402\).*Billing"),
        (540, '{"message": "Project paused"}', 4, r"paused \(540\).*restore"),
        # PostgREST answers 405 to 25006, proxies before it 500.
        (405, READ_ONLY, 1, r"read-only.*\(25006\).*disk"),
        (500, READ_ONLY, 4, r"read-only.*\(25006\).*disk"),
    ],
)
def test_given_a_known_state_when_called_then_the_message_has_its_cure(
    status: int, body: str, requests: int, cure: str
) -> None:
    async def run() -> None:
        async with Hosted((status, body)) as hosted:
            with pytest.raises(ProjectUnavailable, match=cure):
                await call(hosted)
            assert len(hosted.requests) == requests

    asyncio.run(run())


def storage_error(status: int, message: str = "x") -> tuple[int, str]:
    """The storage answers 400; the status that counts is in the body."""
    return 400, f'{{"statusCode": "{status}", "error": "x", "message": "{message}"}}'


@pytest.mark.parametrize(
    "fault", [*((status, "") for status in NOT_THERE), storage_error(544), storage_error(503)]
)
def test_given_a_passing_fault_when_a_slide_is_uploaded_then_it_is_sent_again(
    fault: tuple[int, str], tmp_path: Path
) -> None:
    async def run() -> None:
        async with Hosted(fault, fault, (200, '{"Key": "a", "Id": "b"}')) as hosted:
            await upload(hosted, tmp_path)
            assert len(hosted.requests) == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "cure"),
    [
        (storage_error(402), "Billing"),
        ((540, ""), "restore"),
        (storage_error(500, "cannot execute INSERT in a read-only transaction"), "disk"),
    ],
)
def test_given_a_known_state_when_a_slide_is_uploaded_then_no_slide_is_to_blame(
    fault: tuple[int, str], cure: str, tmp_path: Path
) -> None:
    async def run() -> None:
        async with Hosted(fault) as hosted:
            with pytest.raises(ProjectUnavailable, match=cure):
                await upload(hosted, tmp_path)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "passes"),
    [(400, False), (402, False), (408, True), (429, True), (501, False), (505, False), (599, True)],
)
def test_given_a_status_then_what_nobody_has_heard_of_may_pass(status: int, passes: bool) -> None:
    assert may_pass(status) is passes
