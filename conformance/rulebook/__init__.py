"""The rulebook: one record per rule, with its pure check if one exchange is enough to check it.

Importing this package registers every rule. `RULES` holds them by id, in the order of the rulebook.
"""

from conformance.rulebook import (  # noqa: F401, I001  (importing registers the rules, in this order)
    http,
    request,
    envelope,
    codes,
    authentication,
    access,
    paging,
    naming,
    data,
    state,
    security,
)
from conformance.rulebook.model import RULES, Level, Outcome, Rule, Verdict

__all__ = ["RULES", "Level", "Outcome", "Rule", "Verdict"]
