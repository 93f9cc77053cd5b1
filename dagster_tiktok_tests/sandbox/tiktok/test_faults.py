from __future__ import annotations

import pytest

from dagster_tiktok.sandbox.tiktok.http.faults import Fault, FaultPlan, RequestFacts

PAGE = RequestFacts("page", "1")


def kinds(plan: FaultPlan, request: RequestFacts, times: int) -> list[str | None]:
    decisions = [plan.decide(request) for _ in range(times)]
    return [d.fault.kind if d.fault else None for d in decisions]


def test_no_fault() -> None:
    assert kinds(FaultPlan(), PAGE, 2) == [None, None]


def test_fault_with_times_stops() -> None:
    plan = FaultPlan()
    plan.add(Fault("challenge", times=2))
    assert kinds(plan, PAGE, 3) == ["challenge", "challenge", None]
    assert plan.listed()[0]["fired"] == 2


def test_fault_with_times_each_hits_every_post_once() -> None:
    plan = FaultPlan()
    plan.add(Fault("status", times_each=1))
    other = RequestFacts("page", "2")
    assert kinds(plan, PAGE, 2) == ["status", None]
    assert kinds(plan, other, 2) == ["status", None]


@pytest.mark.parametrize(
    ("fault", "request_facts", "matches"),
    [
        (Fault("status", on="page"), PAGE, True),
        (Fault("status", on="slide"), PAGE, False),
        (Fault("status", post_id="2"), PAGE, False),
        (Fault("svg"), PAGE, False),
        (Fault("html", slide_number=2), RequestFacts("slide", "1", 2), True),
        (Fault("html", slide_number=2), RequestFacts("slide", "1", 3), False),
        (Fault("expired", mirror=0), RequestFacts("slide", "1", 3, 1), False),
        (Fault("status", name="maya"), RequestFacts("profile", name="maya"), True),
    ],
)
def test_fault_matches_only_what_it_names(
    fault: Fault, request_facts: RequestFacts, matches: bool
) -> None:
    assert fault.matches(request_facts) is matches


def test_probability_does_not_depend_on_the_order_of_requests() -> None:
    posts = [RequestFacts("page", str(n)) for n in range(3000)]

    def outcome(order: list[RequestFacts]) -> dict[str | None, str | None]:
        plan = FaultPlan(seed=5)
        plan.add(Fault("status", probability=0.1))
        plan.add(Fault("cut_off", probability=0.05))
        return {r.post_id: kinds(plan, r, 1)[0] for r in order}

    forward = outcome(posts)
    assert forward == outcome(posts[::-1])
    struck = list(forward.values())
    assert struck.count("status") == pytest.approx(300, rel=0.2)
    assert struck.count("cut_off") == pytest.approx(135, rel=0.3)


def test_slow_combines_with_another_fault() -> None:
    plan = FaultPlan()
    plan.add(Fault("slow", latency_ms=(50, 500)))
    plan.add(Fault("status", status=429, retry_after=2))
    decision = plan.decide(PAGE)
    assert 50 <= decision.wait_ms <= 500
    assert decision.fault is not None
    assert decision.fault.status == 429


def test_cleared_and_removed_faults_are_gone() -> None:
    plan = FaultPlan()
    number = plan.add(Fault("status"))
    assert plan.remove(number)
    assert not plan.remove(number)
    plan.add(Fault("status"))
    plan.clear()
    assert plan.listed() == []


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"kind": "explode"}, "unknown fault 'explode'"),
        ({"kind": "svg", "on": "page"}, "cannot happen to 'page'"),
        ({"kind": "status", "probability": 2}, "between 0 and 1"),
        ({"kind": "slow", "latency_ms": [5, 1]}, "least, most"),
        ({"kind": "status", "colour": 1}, "unknown fields of a fault: colour"),
        ({}, "kind"),
        ("status", "is an object"),
    ],
)
def test_error_says_why_a_fault_is_impossible(values: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Fault.from_json(values)
