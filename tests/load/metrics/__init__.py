"""Tests of `load.metrics`."""
