"""Tests of what the suites decide by themselves; `tests/end_to_end` runs them against servers."""
