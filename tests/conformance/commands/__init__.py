"""Tests of `conformance.commands`."""
