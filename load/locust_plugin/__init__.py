"""The load inside Locust: hooks, bootstrap, users."""
