"""What holds for all the suite's own tests: what Hypothesis draws is the same each time."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Machines differ in speed, and a test that fails at random tells whoever meets it nothing.
settings.register_profile(
    "tests", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")
