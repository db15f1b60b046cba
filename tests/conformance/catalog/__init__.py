"""Tests of `conformance.catalog`."""
