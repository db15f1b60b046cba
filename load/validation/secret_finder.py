"""A fast search for secrets in the bytes of responses."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SecretFinder"]

#: Characters that occur in passwords and rarely in JSON.
_RARE = frozenset("!#$%&()*+;<=>?@\\^`|~'")
_SOLID = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-")


class SecretFinder:
    """Finds out whether bytes contain one of several texts; it is fast where they contain none.

    One pass replaces each byte by a sign: `a` for a character of session identifiers, `b` for one of the rare
    characters of passwords. A text can only occur where there is a run of `a` as long as the shortest identifier, or a
    `b`. Only then, and for texts of neither kind, the texts themselves are searched.
    """

    def __init__(self, needles: Sequence[str]) -> None:
        solid = [needle for needle in needles if len(needle) >= 16 and _SOLID.issuperset(needle)]
        others = [needle for needle in needles if needle not in set(solid)]
        marked = [needle for needle in others if not _RARE.isdisjoint(needle)]
        self._solid = tuple(solid)
        self._marked = tuple(marked)
        self._others = tuple(needle for needle in others if _RARE.isdisjoint(needle))
        alphabet = set().union(*solid)
        marks = {next(iter(_RARE & set(needle))) for needle in marked}
        signs = bytearray(b" " * 256)
        for sign in alphabet:
            signs[ord(sign)] = 97
        for sign in marks:
            signs[ord(sign)] = 98
        self._signs = bytes(signs)
        self._run = b"a" * min(map(len, solid), default=0)

    def within(self, data: bytes) -> bool:
        """Return whether the bytes contain one of the texts."""
        signs = data.translate(self._signs)
        if self._solid and self._run in signs and self._any(self._solid, data):
            return True
        if 98 in signs and self._any(self._marked, data):
            return True
        return bool(self._others) and self._any(self._others, data)

    @staticmethod
    def _any(texts: Sequence[str], data: bytes) -> bool:
        # Python searches text in text much faster than bytes in bytes.
        text = data.decode("latin-1")
        return any(map(text.__contains__, texts))
