"""Validation of answers under load."""
