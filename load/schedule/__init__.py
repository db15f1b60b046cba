"""When requests are due: pure functions of time."""
