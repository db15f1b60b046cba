"""The conformance suites: the rulebook, the protocol, and the tests that check a target."""

__version__ = "0.1.0"
