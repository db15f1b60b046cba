"""Tests of `conformance.protocol`."""
