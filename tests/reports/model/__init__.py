"""Tests of `reports.model`."""
