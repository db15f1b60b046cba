"""Tests of `conformance.schema`."""
