"""For all tests: none depends on the machine's speed, and each says which server it needs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Hypothesis gives an example 200 ms, and complains of slow ones: both measure the machine.
settings.register_profile("any_speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_speed")

SERVERS = {"supabase": "node", "postgres": "postgres"}
"""The marker of a test that uses a fixture, directly or through another one. Modules that start
the sandbox themselves set `pytestmark`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by the fixtures that they use, before `-m` selects from them."""
    for item in items:
        for fixture, marker in SERVERS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)
