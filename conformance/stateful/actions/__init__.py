"""What an exploration does: short sequences of calls that people and programs make, by theme."""
