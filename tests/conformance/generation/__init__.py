"""Tests of `conformance.generation`."""
