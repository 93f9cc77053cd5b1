"""Which requests go wrong, and how: decided here, without a socket.

A fault fires by chance (seeded) or a number of times. Chance depends on the fault, the resource
and how often it was requested, not on the order in which concurrent requests arrive: two runs of
a test see the same faults.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from typing import Any, Literal, get_args

RequestKind = Literal[
    "page", "profile", "short", "slide", "cover", "oembed", "embed", "home", "login", "other"
]
PAGES: frozenset[str] = frozenset({"page", "profile"})
DOCUMENTS: frozenset[str] = PAGES | {"oembed", "embed"}
IMAGES: frozenset[str] = frozenset({"slide", "cover"})
ANYTHING: frozenset[str] = frozenset(get_args(RequestKind))

FAULT_KINDS: dict[str, frozenset[str]] = {
    "status": ANYTHING,  # HTTP `status`, with `retry_after` seconds if given
    "slow": ANYTHING,  # waits `latency_ms`, then goes on (other faults may follow)
    "reset": ANYTHING,  # connection reset before the first byte
    "cut_off": ANYTHING,  # connection reset in the middle of the body
    "stall": ANYTHING,  # half of the body, then silence
    "wrong_length": ANYTHING,  # more Content-Length than body
    "empty": ANYTHING,  # status 200, zero bytes
    "endless": ANYTHING,  # a body that does not end
    "redirect": ANYTHING,  # 302 to `location`
    "challenge": DOCUMENTS,  # the "Please wait..." page of SlardarWAF, 1.4 KB
    "captcha": DOCUMENTS,  # the captcha interstitial, 5.7 KB
    "short": DOCUMENTS,  # status 200, 640 bytes
    "login_redirect": DOCUMENTS,  # 302 to /login
    "no_script": PAGES,  # a whole page without the rehydration script
    "unavailable": PAGES,  # `status_code` and `status_msg` inside the page
    "wrong_id": frozenset({"page"}),  # another post than the requested one
    "expired": IMAGES,  # 403, as after x-expires
    "html": IMAGES,  # an HTML page, status 200
    "truncated_image": IMAGES,  # half of the image as a complete response
    "ignore_range": IMAGES,  # the whole image, whatever range was requested
    "huge_image": IMAGES,  # 50,000 x 50,000 pixels in 300 KB
    "svg": IMAGES,
    "zip": IMAGES,  # a ZIP archive, said to be a JPEG
    "polyglot": IMAGES,  # the image with a ZIP archive at its end
}
"""Every kind of fault, and the kinds of request that it can happen to."""


@dataclass(frozen=True)
class RequestFacts:
    """What we know about a request before the response."""

    kind: RequestKind
    post_id: str | None = None
    slide_number: int | None = None
    mirror: int | None = None
    """0 for an image's first mirror, 1 for its second."""
    name: str | None = None
    """The account of a profile, the code of a short link."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and for which requests.

    Arguments:
        kind: one of `FAULT_KINDS`.
        on: the kind of request, or `any`.
        post_id, slide_number, mirror, name: only these, see `RequestFacts`.
        probability: 0 to 1, of each request that matches.
        times: at most so often in all.
        times_each: at most so often for each post, slide, profile or link.
        status, retry_after: for `status`; seconds.
        latency_ms: least and most, for `slow`.
        status_code, status_msg: for `unavailable`.
        location: for `redirect`.
    """

    kind: str
    on: str = "any"
    post_id: str | None = None
    slide_number: int | None = None
    mirror: int | None = None
    name: str | None = None
    probability: float = 1.0
    times: int | None = None
    times_each: int | None = None
    status: int = 503
    retry_after: float | None = None
    latency_ms: tuple[float, float] = (50.0, 500.0)
    status_code: int = 10204
    status_msg: str = "item doesn't exist"
    location: str = "http://169.254.169.254/latest/meta-data/"

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(FAULT_KINDS)}")
        if self.on != "any" and self.on not in FAULT_KINDS[self.kind]:
            possible = ", ".join(sorted(FAULT_KINDS[self.kind]))
            raise ValueError(f"{self.kind!r} cannot happen to {self.on!r}; only to {possible}")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability must lie between 0 and 1")
        low, high = self.latency_ms
        if not 0 <= low <= high:
            raise ValueError("latency_ms must be [least, most]")
        object.__setattr__(self, "latency_ms", (float(low), float(high)))

    @classmethod
    def from_json(cls, values: Any) -> Fault:
        """Raises ValueError with a message for unknown fields and impossible values."""
        if not isinstance(values, dict):
            raise ValueError("a fault is an object")
        if unknown := set(values) - {field.name for field in fields(cls)}:
            raise ValueError(f"unknown fields of a fault: {', '.join(sorted(unknown))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(str(error)) from None

    def matches(self, request: RequestFacts) -> bool:
        if request.kind not in FAULT_KINDS[self.kind] or self.on not in ("any", request.kind):
            return False
        wanted = (self.post_id, self.slide_number, self.mirror, self.name)
        given = (request.post_id, request.slide_number, request.mirror, request.name)
        return all(w is None or w == g for w, g in zip(wanted, given, strict=True))


@dataclass(frozen=True)
class Decision:
    """What happens to one request: first a wait, then a fault or the good response."""

    wait_ms: float = 0.0
    fault: Fault | None = None


class FaultPlan:
    """The faults of a server, tried in the order in which they were added.

    Every `slow` fault that fires adds its wait; of the others the first that fires decides.
    A test may add and clear faults in its own thread while the server decides in another.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._begin()

    def clear(self) -> None:
        """Removes all faults, and starts the counting and the chances again."""
        with self._lock:
            self._begin()

    def _begin(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._next_id = 1
        self._fired: Counter[int] = Counter()
        self._fired_each: Counter[tuple[int, RequestFacts]] = Counter()
        self._requested: Counter[tuple[int, RequestFacts]] = Counter()

    def add(self, fault: Fault) -> int:
        """Adds the fault and returns its number, for `remove`."""
        with self._lock:
            number, self._next_id = self._next_id, self._next_id + 1
            self._faults[number] = fault
            return number

    def remove(self, number: int) -> bool:
        with self._lock:
            return self._faults.pop(number, None) is not None

    def listed(self) -> list[dict[str, Any]]:
        """Each fault with its number and how often it fired, as JSON."""
        with self._lock:
            return [
                {"id": number, "fired": self._fired[number], **asdict(fault)}
                for number, fault in self._faults.items()
            ]

    def decide(self, request: RequestFacts) -> Decision:
        with self._lock:
            return self._decide(request)

    def _decide(self, request: RequestFacts) -> Decision:
        wait = 0.0
        for number, fault in self._faults.items():
            if not fault.matches(request):
                continue
            key = (number, request)
            self._requested[key] += 1
            if not self._fires(number, fault, request):
                continue
            self._fired[number] += 1
            self._fired_each[key] += 1
            if fault.kind != "slow":
                return Decision(wait, fault)
            low, high = fault.latency_ms
            wait += low + (high - low) * self._chance(number, request, "wait")
        return Decision(wait)

    def _fires(self, number: int, fault: Fault, request: RequestFacts) -> bool:
        if fault.times is not None and self._fired[number] >= fault.times:
            return False
        each = self._fired_each[number, request]
        if fault.times_each is not None and each >= fault.times_each:
            return False
        return fault.probability >= 1 or self._chance(number, request, "") < fault.probability

    def _chance(self, number: int, request: RequestFacts, purpose: str) -> float:
        attempt = self._requested[number, request]
        text = f"{self._seed} {number} {purpose} {attempt} {request}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
