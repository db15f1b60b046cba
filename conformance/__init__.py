"""The conformance suites: the rulebook, the protocol, and the conversations that put the rules to a target."""

__version__ = "0.1.0"
