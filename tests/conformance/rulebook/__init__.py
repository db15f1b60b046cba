"""Tests of `conformance.rulebook`."""
