"""Tests of `load.distributed`."""
