"""Scripts that measure; nothing here asserts a time."""
