"""Tests of `conformance.helpers`."""
