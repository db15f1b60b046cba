"""Tests of `load.http`."""
