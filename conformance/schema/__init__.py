"""JSON Schema in the dialect of the rulebook, and JSON pointers."""
