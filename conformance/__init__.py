"""Coursio conformance suite."""
