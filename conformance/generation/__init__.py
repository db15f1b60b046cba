"""Generated payloads: valid data, boundary values, violations and malformed bodies."""
