"""Tests of `load.engine`."""
