"""The command line: help texts, and options that are the same for `conform` and pytest."""

from __future__ import annotations

import argparse

import pytest

import conform
from conformance.commands.parser import command_parser
from conformance.engine import run_options


def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return the parsers of the verbs that run something."""
    below = [
        one
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for one in action.choices.values()
    ]
    return [found for one in below for found in parsers(one)] or [parser]


VERBS = parsers(command_parser())


def test_each_verb_has_a_command() -> None:
    assert {parser.get_default("command") for parser in VERBS} == set(conform._COMMANDS)


@pytest.mark.parametrize("parser", VERBS, ids=lambda parser: str(parser.prog))
def test_each_option_says_what_it_does(parser: argparse.ArgumentParser) -> None:
    silent = {name for action in parser._actions if not action.help for name in action.option_strings}
    assert not silent
    assert parser.description
    assert parser.description.endswith(".")
    assert parser.format_help()


def test_pytest_takes_the_options_of_a_check() -> None:
    (check,) = [parser for parser in VERBS if parser.get_default("command") == "check"]
    taken = {name for action in check._actions for name in action.option_strings}
    shared: list[str] = []
    for add in (
        run_options.add_target,
        run_options.add_rules,
        run_options.add_selection,
        run_options.add_budget,
        run_options.add_plan,
    ):
        add(lambda *names, **_: shared.extend(names))
    assert len(shared) > 15
    assert set(shared) <= taken
