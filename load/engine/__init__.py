"""Sending requests when they are due, in one process."""
