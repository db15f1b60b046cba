"""Load the plugin that runs the suites; it does nothing for the tests of `tests/`."""

pytest_plugins = ["conformance.engine.pytest_plugin"]
