"""Tests of `load.locust_plugin`."""
