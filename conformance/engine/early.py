"""The tests that run first, since they find most per request.

A broken target is then known within seconds. The order is measured: `python -m benchmarks.order_of_tests --runs FOLDER`
prints these lines from runs against the faults of the reference service. Tests that rely on what others left, or that
may change a target, are not among them.
"""

from __future__ import annotations

__all__ = ["EARLY"]

EARLY = (
    "test_envelope.test_refused_logins",
    "test_access.test_another_users_object",
    "test_transport.test_ordinary_headers",
    "test_forms.test_calls_that_are_forms",
    "test_verbs.test_verbs_that_are_unknown",
    "test_lenient_values.test_arguments_in_another_container",
    "test_collateral.test_what_a_refused_call_leaves_untouched",
    "test_codes.test_no_session_with_valid_data",
    "test_references.test_nested_identifier_of_nothing",
    "test_nothing_yet.test_users_without_objects",
    "test_authentication.test_tokens_that_a_language_knows",
    "test_negotiation.test_negotiation_of_each_answer",
    "test_envelope.test_each_way_to_answer",
)
"""Test functions by module and name, the best first."""
