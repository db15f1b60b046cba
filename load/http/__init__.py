"""The HTTP client of the load's hot path."""
