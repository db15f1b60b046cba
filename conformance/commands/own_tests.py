"""Makes the report of a team's own tests of the events that their processes wrote, and prints the closing screen.

The pytest plugin runs `python -m conformance.commands.own_tests DIR` when the tests have ended.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reports.model.event_log import LogError
from reports.model.files import begin, exit_status, write_report
from reports.model.parts import events_of, parts_in
from reports.render.terminal.closing_screen import print_closing

__all__ = ["main"]


def main(folder: Path) -> int:
    """Make the report; return 1 if the gate fails, 3 if the report cannot be made, else 0."""
    try:
        events = list(events_of(folder))
        with begin(folder) as log:
            for event in events:
                log.write(event)
        report = write_report(folder)
    except LogError as error:
        print(f"conform: {error}", file=sys.stderr)
        return 3
    for path in parts_in(folder):
        path.unlink(missing_ok=True)
    print_closing(report, color=False, folder=folder)
    status = exit_status(report)
    return status if status in (1, 130) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
