"""Random sequences of calls, checked against a model of the state (STA-6)."""
