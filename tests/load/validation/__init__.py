"""Tests of `load.validation`."""
