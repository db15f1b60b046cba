"""Tests of `conformance.resources`."""
