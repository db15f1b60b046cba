"""A model of objects and sessions: what a sequence of calls should have left behind (STA-6).

The model receives each step and its response, and returns where the two disagree. It does not judge data and rights,
which other rules do. What the target accepted has happened, and what it refused has not. What an object showed, it
must go on showing until something changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conformance.stateful.checks import lists, reads, sessions, writes
from conformance.stateful.entities import Disagreement
from conformance.stateful.script import StepResult
from conformance.stateful.state import Concurrent, State

__all__ = ["Model"]

#: The check of each kind of step that was accepted.
_CHECKS: dict[str, Callable[[State, StepResult], Disagreement | None]] = {
    "create": writes.check_create,
    "read": reads.check_read,
    "update": writes.check_update,
    "delete": writes.check_delete,
    "list": lists.check_list,
    "act": writes.check_act,
    "logout": sessions.check_logout,
    "whoami": sessions.check_whoami,
}


class Model(State):
    """Compare the results of steps with what the steps before them should have left behind."""

    def take(self, group: Sequence[StepResult]) -> Disagreement | None:
        """Take in the results of a step, or of a group sent at the same time; return where they disagree, or None.

        The steps of a group are independent of each other, with these exceptions:

        - Two may give the same member of one object. Either value is then right.
        - One may delete what others use. Those may succeed or not, and the object is gone afterwards.
        - A list may contain what others write.
        - One may close another session of its user.

        In an area that is known to be broken, the model follows what the target shows.
        """
        self.given_in_group = []
        self.concurrent = Concurrent.of(group)
        found: Disagreement | None = None
        for result in sorted(group, key=_order):
            disagreement = self._take(result)
            if disagreement is not None and disagreement.area in self.knowledge.broken_areas:
                disagreement = None
            found = found or disagreement
        return found

    def _take(self, result: StepResult) -> Disagreement | None:
        step, status = result.step, result.status
        if step.does == "login":
            self.sessions[step.session] = "open"
            sessions.set_other_sessions(self, step, "uncertain")
            self.note_write(None)
            return None
        if status is None or status >= 500:
            # COD-8 judges that. Whether the call took effect is not known.
            self.note_unknown_outcome(step)
            return None
        accepted, disagreement = sessions.check_session(self, result)
        return _CHECKS[step.does](self, result) if accepted else disagreement


def _order(result: StepResult) -> int:
    """Return the place of a step in its group: logouts are taken first, then lists, deletions last."""
    return {"logout": 0, "list": 2, "delete": 3}.get(result.step.does, 1)
