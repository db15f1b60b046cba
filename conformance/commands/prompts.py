"""Questions to a person in a terminal. Without a terminal nothing is asked, so no command ever waits for an answer."""

from __future__ import annotations

import sys

__all__ = ["Prompts"]


class Prompts:
    """Asks questions, if it is `enabled` and the standard input is a terminal."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled and bool(sys.stdin and sys.stdin.isatty())

    def ask(self, question: str, default: str = "", *, secret: bool = False) -> str:
        """Return the answer to a question, or its default; "" if nothing is asked. A `secret` is not shown."""
        if not self.enabled:
            return ""
        # Importing Rich takes long, and most runs ask nothing.
        from rich.console import Console
        from rich.prompt import Prompt
        from rich.text import Text

        try:
            answer = Prompt.ask(
                Text(question),
                console=Console(highlight=False),
                default=default,
                show_default=bool(default),
                password=secret,
            )
        except EOFError:
            return ""
        return answer.strip()
