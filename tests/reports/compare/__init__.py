"""Tests of `reports.compare`."""
