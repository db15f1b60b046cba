"""Rules of one area."""
