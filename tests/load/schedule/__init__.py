"""Tests of `load.schedule`."""
