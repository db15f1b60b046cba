"""Errors of the generator: no value was found, or there cannot be one."""

from __future__ import annotations

__all__ = ["CannotGenerate", "Impossible", "unknown_format"]


class CannotGenerate(Exception):  # noqa: N818  (shown to users under this name)
    """No value was found; `keyword` is the schema keyword that prevented it."""

    def __init__(self, keyword: str, why: str = "") -> None:
        super().__init__(f"{keyword}: {why}" if why else keyword)
        self.keyword = keyword
        self.why = why


class Impossible(CannotGenerate):
    """No value is valid, or the generator cannot build one; raised while a schema is compiled."""


def unknown_format(name: str) -> str:
    """Return why no text can be generated for a format."""
    return f"the format {name!r} is not known: add examples of such texts to the schema"
