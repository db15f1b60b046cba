"""The conformance suites: the rulebook, the protocol, and the conversations that put the rules to a target."""
