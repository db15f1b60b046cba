"""Tests of `conformance.stateful`."""
