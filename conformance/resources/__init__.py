"""The objects that a run creates, and their removal."""
