"""Rules on access: which user may call which function, on whose objects."""

from __future__ import annotations

from conformance.rulebook.model import Example, Level, suite_rule

_DENIED = "HTTP response codes: «Access for the current user is denied»"

suite_rule(
    id="ACC-1",
    level=Level.MUST,
    clause=_DENIED,
    title="A function for another role is refused with 403",
    why="Hiding a button is no protection: whoever knows the function's name calls it.",
    causes="The role is checked in the user interface only, or in some functions; a role is read from the "
    "request; the check is by the name of the path and misses a spelling.",
    remedy="Declare the role at each function's registration and check it in the dispatcher, after the "
    "session and before the arguments. Answer 403.",
    example=Example(
        sent="an administrator's function as an ordinary user",
        right="403",
        wrong="200",
    ),
)

suite_rule(
    id="ACC-2",
    level=Level.MUST,
    clause=_DENIED,
    title="Another user's object cannot be read, changed or deleted",
    why="Identifiers are easily counted up; without a check of the owner every user reads everybody's data. "
    "A check of the parent alone is no check: another's child can be named under a parent of one's own.",
    causes="Objects are looked up by their identifier alone (`SELECT … WHERE id = ?`); the owner is checked "
    "for reading and not for changing or deleting; the parent's owner is checked and the child is not "
    "tied to the parent.",
    remedy="Put the owner into every query (`WHERE id = ? AND owner = ?`), children through their parent. "
    "Answer 404 or 403 if no row is met.",
    example=Example(
        sent='{"method":"read","data":{"courseId":<another user\'s>}}',
        right="403 or 404",
        wrong="200 with the course",
    ),
)

suite_rule(
    id="ACC-3",
    level=Level.MUST,
    clause=_DENIED,
    title="Rights cannot be raised through data",
    why="A server that copies whatever it is sent into its records makes anyone an administrator; "
    "one that merges it reaches the prototype of all its objects.",
    causes="All members of `data` are copied into the record (mass assignment: `Object.assign`, "
    "`User(**data)`, `$fillable = ['*']`); a deep merge reaches `__proto__`.",
    remedy="Copy only the declared parameters by name. Set owner and roles on the server, and never merge "
    "input into objects recursively.",
    example=Example(
        sent='user.update {"name":"A","role":"admin"}',
        right="400, or 200 with the role unchanged",
        wrong="200, and the user is an administrator",
    ),
)

suite_rule(
    id="ACC-4",
    level=Level.MUST,
    clause=_DENIED,
    title="Lists show no object that reading one by one refuses",
    why="A list that forgot the filter gives away what the single read protects, "
    "as do two filters joined by an OR without brackets.",
    causes="The list has no filter by owner or by right, or combines two filters with OR without brackets; a "
    "search index holds objects of all users.",
    remedy="Use the same condition for the list as for the single read, in the query itself, not after it.",
    example=Example(
        sent="course.find as a user",
        right="only courses that course.read gives this user",
        wrong="courses that course.read refuses",
    ),
)
