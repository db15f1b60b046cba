"""Whether session identifiers can be guessed (AUT-14)."""

from __future__ import annotations

import itertools
import math
from collections import Counter

from conformance.engine.context import TestContext
from conformance.protocol.exchange import Exchange

__all__ = ["LOGINS", "entropy", "judge_identifiers", "sequential"]

#: Logins that AUT-14 compares, and bits of entropy that an identifier must have.
LOGINS = 200
BITS = 64.0


def judge_identifiers(ctx: TestContext, tokens: list[str], last: Exchange, *, of: str = "") -> None:
    """Check that identifiers all differ, are not sequential, and have enough entropy.

    `last` is one of the logins. `of` ends the kind of a finding, and says which logins they are.
    """
    repeated = [token for token, count in Counter(tokens).items() if count > 1]
    ctx.judge(
        "AUT-14",
        not repeated,
        kind=f"a session identifier is given twice{of}",
        expected=f"{LOGINS} logins give {LOGINS} identifiers",
        actual=f"{len(set(tokens))} different ones",
        exchange=last,
    )
    ctx.judge(
        "AUT-14",
        not sequential(tokens),
        kind=f"session identifiers are sequential{of}",
        expected="no identifier tells the next",
        actual="each is the one before and a small step",
        exchange=last,
    )
    bits = entropy(tokens)
    ctx.judge(
        "AUT-14",
        bits >= BITS,
        kind=f"session identifiers have too little entropy{of}",
        expected=f"at least {BITS:.0f} bits over {LOGINS} identifiers",
        actual=f"{bits:.1f} bits",
        exchange=last,
    )


def entropy(tokens: list[str]) -> float:
    """Return the sum, over the positions of the identifiers, of the Shannon entropy of the characters, in bits."""
    total = 0.0
    for place in range(max(map(len, tokens))):
        counts = Counter(token[place : place + 1] for token in tokens)
        total -= sum(n / len(tokens) * math.log2(n / len(tokens)) for n in counts.values())
    return total


def sequential(tokens: list[str]) -> bool:
    """Return whether most identifiers, read as numbers, differ from the previous one by the same small step."""
    for base in (10, 16, 36):
        try:
            numbers = [int(token.replace("-", ""), base) for token in tokens]
        except ValueError:
            continue
        steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
        small = [step for step in steps if 0 < abs(step) <= 65_536]
        if len(small) * 2 > len(steps):
            return True
    return False
