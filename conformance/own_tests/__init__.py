"""Tests of a team's own: a pytest plugin with fixtures that call the target, and a run that records and judges them."""
