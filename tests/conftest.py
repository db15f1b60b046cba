"""What holds for all the suite's own tests: what Hypothesis draws is the same each time, and Ctrl-C is heard."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# Machines differ in speed, and a test that fails at random tells whoever meets it nothing.
settings.register_profile(
    "tests", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background deaf to it, and what the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
