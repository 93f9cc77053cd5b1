"""For all tests: none depends on the machine's speed."""

from hypothesis import HealthCheck, settings

# Hypothesis gives an example 200 ms, and complains of slow ones: both measure the machine.
settings.register_profile("any_speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_speed")
