"""The causes of a run: its findings, gathered by what the exchanges show. See docs/causes.md."""
