"""The tests that call the target: one module for each area of the rulebook."""
