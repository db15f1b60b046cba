"""The rulebook: one record per rule, with its pure check if one exchange is enough to check it.

Importing this package registers every rule. `RULES` holds them by id, in the order of the rulebook. Rules of a team's
own (`own_rules`) come after them.
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
from conformance.protocol.exchange import Exchange
from conformance.rulebook.model import (
    RULES,
    Level,
    Outcome,
    Rule,
    Verdict,
    broken,
    holds,
    no_reply,
    not_applicable,
    reply,
    rule,
    shown,
    suite_rule,
)

#: What a file of a team's own rules imports, and `RULES`, `Outcome`, `Rule` and `Verdict` for the suite itself.
__all__ = [
    "RULES",
    "Exchange",
    "Level",
    "Outcome",
    "Rule",
    "Verdict",
    "broken",
    "holds",
    "no_reply",
    "not_applicable",
    "reply",
    "rule",
    "shown",
    "suite_rule",
]
