"""Tests of `load.workload`."""
