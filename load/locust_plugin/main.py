"""Locust's own command, without the configuration files of whoever starts it.

Locust reads `~/.locust.conf` and, in the current folder, `locust.conf` and `pyproject.toml`. A load of `conform` has
its options from the command line and the profile alone. A person who starts `locust -f load/locustfile.py` gets
Locust as it is.
"""

from __future__ import annotations

import gc

# The imports leave hardly any garbage, and looking for it takes a sixth of their time. `load/locustfile.py`, which is
# imported last, turns the collection on again.
gc.disable()

from typing import Any

from locust import argument_parser
from locust.main import main

__all__ = ["ignore_configuration_files"]


class _BareParser(argument_parser.LocustArgumentParser):
    """A parser like Locust's, which reads only the files that the command line names."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["default_config_files"] = []
        super().__init__(*arguments, **options)


def ignore_configuration_files() -> None:
    """Let Locust read no configuration file by itself; `--config FILE` still works."""
    parser: Any = argument_parser
    parser.LocustArgumentParser = _BareParser


if __name__ == "__main__":
    ignore_configuration_files()
    main()  # type: ignore[no-untyped-call]
