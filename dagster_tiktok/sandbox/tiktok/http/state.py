"""The state of the fake TikTok, which the control API changes."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_tiktok.sandbox.tiktok.content.slide_images import SlideImages
from dagster_tiktok.sandbox.tiktok.content.slide_urls import SlideSigner
from dagster_tiktok.sandbox.tiktok.content.world import World
from dagster_tiktok.sandbox.tiktok.http.faults import FaultPlan
from dagster_tiktok.sandbox.tiktok.http.request_log import RequestLog


@dataclass
class Shaping:
    """How slow the server is without any fault.

    `page_latency_ms`: least and most, before every response that is not an image.
    `slide_first_byte_ms`: before an image's first byte.
    `slide_bytes_per_second`: of each connection; None is as fast as it goes.
    """

    page_latency_ms: tuple[float, float] = (0.0, 0.0)
    slide_first_byte_ms: float = 0.0
    slide_bytes_per_second: float | None = None


@dataclass(frozen=True)
class ServerState:
    """The parts of a running server. Each may change while it runs."""

    world: World
    faults: FaultPlan
    log: RequestLog
    shaping: Shaping
    images: SlideImages
    signer: SlideSigner
