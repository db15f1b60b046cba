"""The report rendered for people and for CI servers."""
