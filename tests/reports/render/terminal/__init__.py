"""Tests of `reports.render.terminal`."""
