"""Unusual features of values are named."""

from __future__ import annotations

from conformance.generation import payloads


def test_what_a_target_may_refuse_is_reported() -> None:
    assert payloads.unusual_features({"a": ["plain", 5, 1.5, "åäö"]}) == frozenset()
    assert payloads.unusual_features("😀") == {"astral"}
    assert payloads.unusual_features("e\u0301") == {"combining"}
    assert payloads.unusual_features("שלום") == {"right to left"}
    assert payloads.unusual_features("a\x00") == {"U+0000"}
    for sign in ("\u200d", "\ufeff", "\x01", "\x7f"):
        assert payloads.unusual_features(f"a{sign}") == {"control or format character"}
    assert payloads.unusual_features("a\tb\r\n") == frozenset()
    assert payloads.unusual_features("a\ud800") == {"unpaired surrogate"}
    assert payloads.unusual_features("x" * 65_536) == {"64 kB"}
    assert payloads.unusual_features(2**53 + 1) == {"number of unusual size"}
    assert payloads.unusual_features([-0.0]) == {"-0"}
    assert payloads.unusual_features(1.0) == {"1.0"}
