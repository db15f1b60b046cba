"""SEC-3: secrets are found in answers of any size, also while the secrets of the run change."""

from __future__ import annotations

import pytest

from conformance.protocol.exchange import Exchange, Request, Response
from conformance.protocol.redaction import SecretRegistry
from conformance.rulebook.model import Outcome
from conformance.rulebook.security import MAX_INDEXED_BYTES, nothing_secret_is_repeated


def judged(registry: SecretRegistry, text: str, *, size: int = 0) -> Outcome:
    body = text.encode() + b" " * (size - len(text))
    exchange = Exchange(
        Request("POST", "http://h/api/course", (), b"{}"),
        Response(200, (), body),
        secret_registry=registry,
        user="owner",
    )
    return nothing_secret_is_repeated(exchange)


@pytest.mark.parametrize("size", [0, MAX_INDEXED_BYTES, MAX_INDEXED_BYTES + 1])
@pytest.mark.parametrize(
    "secret", ["c0ffee0123456789", "Tr0ub4dor&3", "a/b+c=d/e+f==", "l\u00f6senord-\u00e9"]
)
def test_a_password_is_found_in_an_answer_of_any_size(secret: str, size: int) -> None:
    registry = SecretRegistry()
    assert not judged(registry, secret, size=size).broken
    registry.password(secret)
    assert judged(registry, secret, size=size).broken
    assert judged(registry, f'{{"data":"x{secret}y"}}', size=size).broken
    assert not judged(registry, secret[:-1], size=size).broken


def test_sessions_are_found_as_they_come_and_go() -> None:
    registry = SecretRegistry(keep=3)
    identifiers = [f"{number:032x}" for number in range(10**30, 10**30 + 8)]
    for latest, identifier in enumerate(identifiers):
        registry.session(identifier, "admin")
        found = [judged(registry, f'"{each}"').broken for each in identifiers]
        assert found == [latest - 3 < number <= latest for number in range(8)]


def test_registries_do_not_share_secrets() -> None:
    one, other = SecretRegistry(), SecretRegistry()
    one.password("Tr0ub4dor&3")
    assert judged(one, "Tr0ub4dor&3").broken
    assert not judged(other, "Tr0ub4dor&3").broken
