"""Every number that depends on the budget of a run: `quick`, `standard` or `deep`.

All budgets run the same tests. These numbers say how long a run may take and how many items a test tries.
A test takes its sample with `ctx.some(items, budgets.NAME)` and a number with `ctx.amount(budgets.NAME)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

__all__ = ["BUDGETS", "ByBudget", "Part", "Sample", "sample"]

#: The names of the budgets, as the option `--budget` takes them.
BUDGETS = ("quick", "standard", "deep")

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class ByBudget(Generic[T_co]):
    """A value for each budget."""

    quick: T_co
    standard: T_co
    deep: T_co

    def of(self, budget: str) -> T_co:
        """Return the value for the budget of that name."""
        return {"quick": self.quick, "standard": self.standard, "deep": self.deep}[budget]


class Part(NamedTuple):
    """The size of a sample that grows with the list: one item of `divisor`, but `least` items if there are as many."""

    least: int
    divisor: int


#: How many items of a list are tried; None stands for all of them.
Sample = ByBudget[int | Part | None]


def sample(quick: int, standard: int | Part | None = None, deep: int | None = None) -> Sample:
    """Return the size of a sample for each budget; all items where no size is given."""
    return ByBudget(quick, standard, deep)


# --- A run --------------------------------------------------------------------------------------------------------

#: Seconds after which a run ends, where `--for` adds none.
DEADLINE_SECONDS = ByBudget(300.0, 1_800.0, 36_000.0)

#: Requests that generated payloads may take on top of the other tests; None: as many as fit in their time.
PAYLOAD_REQUESTS: ByBudget[int | None] = ByBudget(2_000, 11_500, None)

#: Seconds after which generated payloads stop, all work around them included. Where the requests are limited, this is
#: many times what they take on a machine that is not busy.
PAYLOAD_SECONDS = ByBudget(240.0, 900.0, 600.0)

# --- `conform verify` -----------------------------------------------------------------------------------------------

#: Seconds of a whole verification, and of the load within it at most.
VERIFY_SECONDS = ByBudget(120.0, 900.0, 36_000.0)
MAX_LOAD_SECONDS = ByBudget(60.0, 300.0, 25_200.0)

#: Seconds of a load for which no duration is given; None: as long as `conform load` takes.
USUAL_LOAD_SECONDS: ByBudget[float | None] = ByBudget(30.0, None, None)

# --- Explorations ---------------------------------------------------------------------------------------------------

#: Calls and seconds that shrinking one script may take.
SHRINKING_CALLS = ByBudget(150, 250, 900)
SHRINKING_SECONDS = ByBudget(3.0, 6.0, 60.0)

#: Logouts that explorations send during concurrent calls, per run (not per kind of object).
CONCURRENT_LOGOUTS = ByBudget(1, 4, 30)

#: Entities that explorations create per run and kind where they cannot be deleted.
UNDELETABLE_ENTITIES = ByBudget(6, 16, 40)

#: Calls of explorations for each kind of object at least.
CALLS_OF_A_KIND = ByBudget(180, 180, 180)

#: The most times the usual number of calls that an exploration may take; explorations take turns.
EXPLORATION_LENGTHS = ByBudget(1, 1, 3)

# --- Generated payloads ---------------------------------------------------------------------------------------------

#: Objects that one test of one function creates where they cannot be deleted.
UNDELETABLE_OBJECTS = ByBudget(6, 36, 36)

#: Calls that shrinking a payload without a documented answer may take.
SHRINKING_PAYLOAD_CALLS = ByBudget(15, 40, 40)

#: The part of the places in a function's data to which large data is not sent, by chance.
PART_OF_LARGE_DATA_LEFT_OUT = ByBudget(0.9, 0.0, 0.0)

#: Calls of one function that find out which values of a refused call the target refuses.
GRID_CALLS_APART = ByBudget(24, 60, 80)

#: Objects that the grid creates with one function where they cannot be deleted.
GRID_UNDELETABLE_OBJECTS = ByBudget(40, 120, 120)

#: To how many functions each telling body, and each telling value of `data`, is sent before any is drawn.
TELLING_BODIES: ByBudget[int | None] = ByBudget(1, 3, 3)

EXPENSIVE_TEXTS = sample(1, 9)
INJECTIONS_WITHOUT_SEARCH = sample(8, Part(12, 8))
INFINITE_NUMBERS = sample(1)
NUMBERS_OUT_OF_BOUNDS = sample(4, Part(8, 3))
REFUSED_BESIDE = ByBudget(16, 24, 60)
STORED_ITEMS = sample(24)
VIEWS_BESIDE_REFUSED = sample(2, 8)

# --- Requests and envelopes -----------------------------------------------------------------------------------------

#: On how many endpoints each body that is not JSON is tried; None: on all.
BROKEN_BODIES: ByBudget[int | None] = ByBudget(2, None, None)
LENIENT_BODIES: ByBudget[int | None] = ByBudget(1, None, None)

#: On how many endpoints each ordinary request, form of a call and header of negotiation is tried; None: on all.
USUAL_REQUESTS: ByBudget[int | None] = ByBudget(1, 3, None)
FORMS: ByBudget[int | None] = ByBudget(1, None, None)
NEGOTIATIONS: ByBudget[int | None] = ByBudget(1, 3, None)

AMBIGUOUS_REQUESTS = sample(1, 8)
ARGUMENT_CONTAINERS = sample(3)
CHARSETS = sample(2)
CHUNKED_BODIES = sample(1, 2)
CONTENT_TYPES = sample(1)
CONTENT_TYPE_SPELLINGS = sample(1, 4)
ENDPOINTS_OF_DEEP_BODIES = sample(2, 2)
HEADER_SPELLINGS = sample(1)
#: Headers that are sent alone where a call with several of them is refused with an accepted status.
HEADERS_BEHIND_A_REFUSAL = sample(1, 3)
INVALID_PARAMETERS = sample(1)
JSON_SPELLINGS = sample(1)
MEMBERS_IN_ANOTHER_CASE = sample(3)
MISSING_PARAMETERS = sample(12)
NON_ASCII_HEADERS = sample(1, 1)
OPERATORS_OF_ANY = sample(2)
OTHER_OPERATORS_OF_ANY = sample(1)
OPERATORS_OF_ONE = sample(1)
ORDINARY_HEADERS = sample(1, 3)
OTHER_THAN_OBJECTS = sample(3)
#: Calls that are sent one after another on one connection.
CALLS_OF_A_CONNECTION = ByBudget(101, 1_001, 1_001)
ESCAPES = sample(1)
#: How many sizes of large answers are compared for each kind, the largest first.
LARGE_TEXTS = ByBudget(1, 3, 3)
LONG_HEADERS = sample(1, 1)
SECOND_TOKENS = sample(1, 1)
SPACED_TOKENS = sample(1, 1)
OTHER_VERBS = sample(1)
OVERRIDDEN_VERBS = sample(1)
OVERRIDES = sample(1, 2)
PACKET_CUTS = sample(1, 2)
PATH_SPELLINGS = sample(4)
READERS_OF_BODIES = sample(1, 2, 2)
REFUSED_VIOLATIONS = sample(2, 5)
RESPELLED_MEMBERS = sample(1, 2)
RESPELLED_NAMES = sample(3)
SPELT_ENDPOINTS = sample(1, 3)
SPELLINGS_OF_METHOD = sample(1, 4)
CUT_NAMES = sample(1, 2)
UNKNOWN_ENDPOINTS = sample(5, 12)
PLURAL_ENDPOINTS = sample(2, 4)
UNKNOWN_PATHS = sample(4)
UNPUBLISHED_NAMES = sample(9, 30)
BUILTIN_IDENTIFIERS = sample(1, 4)
UNUSUAL_BODIES = sample(6)
VERBS = sample(3)
VIOLATIONS = sample(40, 160)
VIOLATIONS_OF_A_PARAMETER = ByBudget(3, 400, 400)

# --- Sessions -------------------------------------------------------------------------------------------------------

#: Seconds that the logins of the test of session identifiers may take. No rule may take most of a short run.
MAX_LOGIN_SECONDS = ByBudget(15.0, 60.0, math.inf)

#: Calls of one function in one session, among those of other functions.
CALLS_OF_A_SESSION = ByBudget(10, 30, 30)

#: Rounds in which several sessions ask who they are, and logins of others meanwhile.
ROUNDS_OF_SESSIONS = ByBudget(4, 12, 12)
LOGINS_BETWEEN_SESSIONS = ByBudget(4, 12, 12)

#: Logins that are sent at the same time, as one user and as several.
LOGINS_AT_ONCE = ByBudget(8, 16, 16)

#: Of how many sessions one is ended at the end of the test.
LOGOUT_STEP = ByBudget(4, 2, 2)

COERCED_OBJECTS = sample(1, 6)
NO_OBJECTS = sample(3, 8)
LENIENT_NUMBERS = sample(2, 10)
#: Calls with further claiming headers, after one with as many of them as fit in one call.
FURTHER_CLAIMING_HEADERS = sample(1, 2)
COERCED_LOGINS = sample(7)
#: Tokens of each family that are sent to each function.
FORGED_TOKENS = sample(1, 3)
FORGED_TOKENS_OF_A_USER = sample(90, 90)
FUNCTIONS_OF_A_SESSION = sample(6, 30)
FUNCTIONS_OF_FOREIGN_TOKENS = sample(1, 4)
IDENTITY_FUNCTIONS = sample(2, 5, 5)
IDENTITY_KINDS = sample(3)
KEY_LOGIN_TIMES = sample(1)
NEAR_PASSWORDS = sample(5)
TOKEN_NAMES = sample(3)

# --- Access and claims ----------------------------------------------------------------------------------------------

FOREIGN_REFERENCES = sample(1, 3)
FURTHER_CLAIMS = sample(1)
LISTED_IDENTIFIERS = sample(4, 40)
MATCHING_FILTERS = sample(8, 10)
PAIRS_OF_FILTERS = sample(6, 12)
PARENTS_OF_ANOTHERS_OBJECT = sample(2, 4)
REFERRING_PAIRS = sample(1, 2)
SINGLE_CLAIMS_OF_LOGINS = sample(2, 12)
SINGLE_CLAIMS_OF_READS = sample(1, 8)
SINGLE_CLAIMS_OF_WRITES = sample(6, 40)
SINGLE_OWNERS = sample(1, 10)
SINGLE_RIGHTS = sample(1, 6)
PROTOTYPE_CLAIMS = sample(1, 6)
SINGLE_SERVER_MEMBERS = sample(2, 6)
IDENTIFIERS_IN_CREATES = sample(3)
USER_PAIRS = sample(1, 3)

# --- Lists and pages ------------------------------------------------------------------------------------------------

#: Rows that a list should have before its pages are compared with it, and before a missing limit is tested.
PAGED_ROWS = ByBudget(8, 27, 27)
UNLIMITED_ROWS = ByBudget(106, 106, 106)

#: The most pages into which a list is divided.
PAGES_OF_A_LIST = ByBudget(14, 40, 40)

#: Of how many page requests one is repeated, and how often.
REPEATED_PAGE_STEP = ByBudget(2, 1, 1)
PAGE_REPETITIONS = ByBudget(2, 4, 4)

LONG_PAGES = sample(2)
WINDOWS_OF_A_LIST = sample(1)
FILTERED_LISTS = sample(1, 2, 2)
FILTERS = sample(2)
FILTER_VALUES = sample(3)
OTHER_PAGE_MEMBERS = sample(1, 2, 2)
PAGES_OF_EMPTY_LISTS = sample(2)
PAGE_STARTS = sample(2)
STARTS_BEYOND_THE_END = sample(1)
STARTS_OF_EMPTY_PAGES = sample(2)
UNUSUAL_PAGE_VALUES = sample(2)

# --- State ----------------------------------------------------------------------------------------------------------

#: Objects created at the same time: by one user, by each of several users, and rounds of calls by several users.
CONCURRENT_CREATES = ByBudget(8, 16, 16)
CREATES_OF_A_USER = ByBudget(3, 6, 6)
IDENTICAL_CREATES = ByBudget(3, 6, 8)
CONCURRENT_ROUNDS = ByBudget(4, 10, 10)

#: Rounds of changes of one object's different members at the same time, and the members.
ROUNDS_OF_MEETING_CHANGES = ByBudget(1, 3, 5)
MEMBERS_CHANGED_AT_ONCE = sample(3, 4, 6)

FURTHER_CHANGES = sample(1)
REPEATED_CHANGES = sample(1, 5)
USERS_OF_A_KIND = sample(1, 2, 2)
WATCHED_FILTERS = sample(2, 8)
WATCHED_LISTS = sample(2)
WATCHED_PAGES = sample(1)
