"""The engine of a run: options, context, scheduling, observation, confirmation, reset detection."""
